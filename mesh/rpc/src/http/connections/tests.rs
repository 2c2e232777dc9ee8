//! Who is let in at a limit, and who has to make room.

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

/// A newcomer that need not wait.
fn admit(connections: &Connections, peer: IpAddr) -> Option<Connection> {
    connections.admit(peer).now_or_never().unwrap()
}

/// A newcomer that waits for its place.
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
async fn at_the_limit_the_connection_that_is_idle_longest_makes_room() {
    let connections = Connections::new(LIMITS);
    let mut open = Vec::new();
    for client in 1..=4 {
        open.push(admit(&connections, address(client)).unwrap());
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
    }
    // The first has been open longest, and has just been used.
    drop(open[0].begin().unwrap());
    assert!(connections.admit(address(5)).now_or_never().is_none());
    let closed: Vec<_> = open.iter().map(is_closed).collect();
    assert_eq!(closed, [false, true, false, false]);
    assert!(open[1].begin().is_err(), "it is being closed");
}

#[tokio::test]
async fn a_place_is_free_when_its_file_is_closed() {
    let connections = Connections::new(LIMITS);
    let mut open: Vec<_> = (1..=4)
        .map(|client| admit(&connections, address(client)).unwrap())
        .collect();
    let newcomers = [5, 6].map(|client| tokio::spawn(admit_later(&connections, client)));
    // Both have asked, and one connection is closed at a time.
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
async fn a_client_over_its_share_waits_for_its_own_only() {
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

/// One connection of each of four clients.
fn clients(connections: &Connections) -> [Connection; 4] {
    [1, 2, 3, 4].map(|client| admit(connections, address(client)).unwrap())
}

/// A request on this connection, with its body or not.
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
async fn requests_that_wait_for_their_bodies_take_no_place_of_others() {
    let connections = Connections::new(LIMITS);
    let [one, two, three, four] = &clients(&connections);
    let waiting = [one, one, two, two].map(|on| permit(on, false).unwrap());
    let working = [three, three, four].map(|on| permit(on, true).unwrap());
    // In all: the one that has waited longest makes room.
    let other = permit(three, false).unwrap();
    let lost = || waiting.each_ref().map(Permit::is_lost);
    assert_eq!(lost(), [true, false, false, false]);
    assert!(waiting[0].grow(0).is_err() && waiting[0].is_whole().is_err());
    // Of one client: one of its own does.
    let _more = permit(two, false).unwrap();
    assert_eq!(lost(), [true, false, true, false]);
    waiting[1].is_whole().unwrap();
    // There are four that are worked on, and no room for a fifth.
    assert!(waiting[3].is_whole().is_err() && waiting[3].is_lost());
    drop(working);
    // What is worked on makes room no more.
    other.is_whole().unwrap();
    let _crowd = [one, one, one, three, three].map(|on| permit(on, false).unwrap());
    assert!(!waiting[1].is_lost() && !other.is_lost());
}

#[tokio::test]
async fn the_bytes_of_bodies_are_bounded_and_who_waits_longest_makes_room() {
    let connections = Connections::new(LIMITS);
    let [one, two, three, _] = &clients(&connections);
    let own = [one, one].map(|on| permit(on, false).unwrap());
    own[0].grow(300).unwrap();
    own[1].grow(200).unwrap();
    // Its share is half. The other one makes room, although it came later.
    own[0].grow(1).unwrap();
    assert!(!own[0].is_lost() && own[1].is_lost());
    let others = [two, three].map(|on| permit(on, false).unwrap());
    others[0].grow(500).unwrap();
    others[1].grow(199).unwrap();
    assert!(!own[0].is_lost());
    others[1].grow(1).unwrap();
    assert!(own[0].is_lost());
    // What has come whole makes room no more.
    others[0].is_whole().unwrap();
    assert!(others[1].grow(400).is_err() && others[1].is_lost());
    assert!(!others[0].is_lost());
    drop(others);
    permit(one, false).unwrap().grow(5000).unwrap();
}

#[tokio::test]
async fn answers_that_wait_to_be_read_are_bounded_and_the_oldest_makes_room() {
    let connections = Connections::new(LIMITS);
    let [one, two, three, four] = &clients(&connections);
    let answer = |on: &Connection, bytes| on.begin().unwrap().answer(bytes).unwrap();
    // One always fits.
    let huge = answer(one, 5000);
    let _first = answer(two, 300);
    assert!(is_closed(one) && !is_closed(two));
    drop(huge);
    let read = answer(three, 400);
    // Of one client: its own makes room.
    let _more = answer(three, 101);
    assert!(is_closed(three) && !is_closed(two));
    drop(read);
    // In all: the oldest, whose it may be.
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
async fn what_is_gone_counts_no_more() {
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
