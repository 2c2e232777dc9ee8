//! Which connections and requests are admitted at a limit, and which are closed or refused for
//! them.

use std::{net::Ipv4Addr, pin::pin};

use futures::FutureExt as _;

use super::{usage::Resource, *};

const LIMITS: Limits = Limits {
    connections: 4,
    requests: 4,
    answer_bytes: 1000,
    body_bytes: 1000,
    per_client_percent: 50,
};

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

/// Admits a connection that need not wait.
fn admit(connections: &Connections, peer: IpAddr) -> Option<Connection> {
    connections.admit(peer).now_or_never().unwrap()
}

/// Admits a connection that waits for its place.
fn admit_later(
    connections: &Connections,
    client: u8,
) -> impl Future<Output = Option<Connection>> + use<> {
    let connections = connections.clone();
    async move { connections.admit(address(client)).await }
}

fn is_closed(connection: &Connection) -> bool {
    connection.closed().now_or_never().is_some()
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_the_longest_idle_connection_is_closed() {
    let connections = Connections::new(LIMITS);
    let mut open = Vec::new();
    for client in 1..=4 {
        open.push(admit(&connections, address(client)).unwrap());
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
    }
    // The first has been open longest, but was used most recently.
    drop(open[0].begin().unwrap());
    assert!(connections.admit(address(5)).now_or_never().is_none());
    let closed: Vec<_> = open.iter().map(is_closed).collect();
    assert_eq!(closed, [false, true, false, false]);
    assert!(open[1].begin().is_err(), "it is being closed");
}

#[tokio::test]
async fn a_place_is_free_when_its_socket_is_closed() {
    let connections = Connections::new(LIMITS);
    let mut open: Vec<_> = (1..=4)
        .map(|client| admit(&connections, address(client)).unwrap())
        .collect();
    let newcomers = [5, 6].map(|client| tokio::spawn(admit_later(&connections, client)));
    // Both are waiting; connections are closed one at a time.
    tokio::task::yield_now().await;
    assert_eq!(connections.count(), 4);
    for newcomer in newcomers {
        assert!(!newcomer.is_finished());
        let closed: Vec<_> = (0..open.len()).filter(|at| is_closed(&open[*at])).collect();
        let [closed] = closed[..] else {
            panic!("{closed:?} are closed");
        };
        drop(open.swap_remove(closed));
        open.push(newcomer.await.unwrap().unwrap());
        assert_eq!(connections.count(), 4);
    }
}

#[tokio::test]
async fn a_client_at_its_share_waits_only_for_its_own_connections() {
    let connections = Connections::new(LIMITS);
    let others = [1, 2].map(|client| admit(&connections, address(client)).unwrap());
    let [one, two] = [3, 3].map(|client| admit(&connections, address(client)).unwrap());
    let mut newcomer = pin!(connections.admit(address(3)));
    assert!(newcomer.as_mut().now_or_never().is_none());
    let (closed, kept) = match is_closed(&one) {
        true => (one, two),
        false => (two, one),
    };
    drop(closed);
    let _newcomer = newcomer.await.unwrap();
    assert!(!is_closed(&kept) && !others.iter().any(is_closed));
    assert_eq!(connections.count(), 4);
}

#[tokio::test]
async fn a_newcomer_is_refused_only_when_all_are_busy() {
    let connections = Connections::new(LIMITS);
    let mut open: Vec<_> = (1..=4)
        .map(|client| admit(&connections, address(client)).unwrap())
        .collect();
    let busy: Vec<_> = open.iter().map(|one| one.begin().unwrap()).collect();
    assert!(admit(&connections, address(5)).is_none());
    drop(busy);
    let mut newcomer = pin!(connections.admit(address(5)));
    assert!(newcomer.as_mut().now_or_never().is_none());
    open.retain(|one| !is_closed(one));
    assert!(newcomer.await.is_some());
}

#[tokio::test]
async fn one_client_cannot_take_the_room_of_others() {
    let connections = Connections::new(LIMITS);
    let other = admit(&connections, address(1)).unwrap();
    let one = admit(&connections, address(2)).unwrap();
    let two = admit(&connections, address(2)).unwrap();
    // Its third connection takes the place of one of its own.
    let three = admit(&connections, address(2)).unwrap();
    assert!(!is_closed(&other) && !is_closed(&three));
    assert!(is_closed(&one) != is_closed(&two));
    let _busy = three.begin().unwrap();
    drop((one, two));
    let four = admit(&connections, address(2)).unwrap();
    let _also_busy = four.begin().unwrap();
    assert!(admit(&connections, address(2)).is_none());
    assert!(admit(&connections, address(3)).is_some());
}

/// Opens one connection for each of four clients.
fn clients(connections: &Connections) -> [Connection; 4] {
    [1, 2, 3, 4].map(|client| admit(connections, address(client)).unwrap())
}

/// Begins a request on this connection, with a complete or incomplete body.
fn permit(on: &Connection, is_whole: bool) -> Result<Permit, Overloaded> {
    on.begin().unwrap().permit(is_whole)
}

#[tokio::test]
async fn requests_in_flight_are_bounded_in_all_and_per_client() {
    let connections = Connections::new(LIMITS);
    let [one, two, three, _] = &clients(&connections);
    let (first, _second) = (permit(one, true).unwrap(), permit(one, true).unwrap());
    assert_eq!(permit(one, true).unwrap_err(), Overloaded);
    let _others = [permit(two, true).unwrap(), permit(two, true).unwrap()];
    assert_eq!(permit(three, true).unwrap_err(), Overloaded);
    drop(first);
    assert!(permit(three, true).is_ok());
}

#[tokio::test]
async fn requests_that_wait_for_their_bodies_do_not_block_others() {
    let connections = Connections::new(LIMITS);
    let [one, two, three, four] = &clients(&connections);
    let waiting = [one, one, two, two].map(|on| permit(on, false).unwrap());
    let working = [three, three, four].map(|on| permit(on, true).unwrap());
    // At the total limit, the one that has waited longest is refused.
    let other = permit(three, false).unwrap();
    let lost = || waiting.each_ref().map(Permit::is_lost);
    assert_eq!(lost(), [true, false, false, false]);
    assert!(waiting[0].grow(0).is_err() && waiting[0].is_whole().is_err());
    // At the limit of a client, one of its own is refused.
    let _more = permit(two, false).unwrap();
    assert_eq!(lost(), [true, false, true, false]);
    waiting[1].is_whole().unwrap();
    // Four requests are being processed, and there is no room for a fifth.
    assert!(waiting[3].is_whole().is_err() && waiting[3].is_lost());
    drop(working);
    // A request being processed is not refused any more.
    other.is_whole().unwrap();
    let _crowd = [one, one, one, three, three].map(|on| permit(on, false).unwrap());
    assert!(!waiting[1].is_lost() && !other.is_lost());
}

#[tokio::test]
async fn the_bytes_of_bodies_are_limited_and_the_longest_wait_is_refused() {
    let connections = Connections::new(LIMITS);
    let [one, two, three, _] = &clients(&connections);
    let own = [one, one].map(|on| permit(on, false).unwrap());
    own[0].grow(300).unwrap();
    own[1].grow(200).unwrap();
    // Its share is half of the total. The other one is refused, although it is newer.
    own[0].grow(1).unwrap();
    assert!(!own[0].is_lost() && own[1].is_lost());
    let others = [two, three].map(|on| permit(on, false).unwrap());
    others[0].grow(500).unwrap();
    others[1].grow(199).unwrap();
    assert!(!own[0].is_lost());
    others[1].grow(1).unwrap();
    assert!(own[0].is_lost());
    // A request with a complete body is not refused any more.
    others[0].is_whole().unwrap();
    assert!(others[1].grow(400).is_err() && others[1].is_lost());
    assert!(!others[0].is_lost());
    drop(others);
    permit(one, false).unwrap().grow(5000).unwrap();
}

#[tokio::test]
async fn unread_answers_are_limited_and_the_oldest_is_closed() {
    let connections = Connections::new(LIMITS);
    let [one, two, three, four] = &clients(&connections);
    let answer = |on: &Connection, bytes| on.begin().unwrap().answer(bytes).unwrap();
    // A single answer always fits.
    let huge = answer(one, 5000);
    let _first = answer(two, 300);
    assert!(is_closed(one) && !is_closed(two));
    drop(huge);
    let read = answer(three, 400);
    // At the limit of a client, its own connection is closed.
    let _more = answer(three, 101);
    assert!(is_closed(three) && !is_closed(two));
    drop(read);
    // At the total limit, the oldest is closed, whoever its client is.
    let _half = answer(four, 500);
    let _rest = answer(one, 100);
    assert!(is_closed(two) && !is_closed(three));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_barred_waits_for_its_next_connection() {
    let connections = Connections::new(LIMITS);
    let one = admit(&connections, address(1)).unwrap();
    one.bar_client();
    drop(one);
    assert!(admit(&connections, address(1)).is_none());
    assert!(admit(&connections, address(2)).is_some());
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert!(admit(&connections, address(1)).is_some());
    let mut open = connections.0.open.lock();
    open.forget_barred(connections.0.now());
    assert!(open.clients.is_empty());
}

#[tokio::test]
async fn dropped_connections_and_requests_are_not_counted() {
    let connections = Connections::new(LIMITS);
    for _ in 0..100 {
        let one = admit(&connections, address(1)).unwrap();
        let in_use = one.begin().unwrap();
        let (waiting, working) = (in_use.permit(false).unwrap(), in_use.permit(true).unwrap());
        waiting.grow(10).unwrap();
        drop((waiting, working, in_use.answer(10), in_use));
    }
    let shared = &connections.0;
    assert_eq!(connections.count(), 0);
    assert!(shared.open.lock().clients.is_empty());
    assert_eq!(shared.totals.busy.load(Ordering::Relaxed), 0);
    for what in [
        Resource::Requests,
        Resource::Arriving,
        Resource::BodyBytes,
        Resource::AnswerBytes,
    ] {
        assert_eq!(
            shared.totals.of(what).load(Ordering::Relaxed),
            0,
            "{what:?}"
        );
    }
}

#[test]
fn an_ipv6_subscriber_is_one_client() {
    let network = |text: &str| Network::from(text.parse::<IpAddr>().unwrap());
    assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
    assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    assert_ne!(network("::c000:201"), network("192.0.2.1"));
}
