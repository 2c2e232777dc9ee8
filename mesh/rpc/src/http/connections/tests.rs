//! Who is let in at a limit, and who has to make room.

use std::net::Ipv4Addr;

use futures::FutureExt as _;

use super::*;

const LIMITS: Limits = Limits {
    connections: 4,
    requests: 4,
    answer_bytes: 1000,
    message_bytes: 1000,
    per_client_percent: 50,
};

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn is_closed(connection: &Connection) -> bool {
    connection.closed().now_or_never().is_some()
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_the_connection_that_is_idle_longest_makes_room() {
    let connections = Connections::new(LIMITS);
    let mut open = Vec::new();
    for client in 1..=4 {
        open.push(connections.admit(address(client)).unwrap());
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
    }
    // The first has been open longest, and has just been used.
    drop(open[0].begin().unwrap());
    open.push(connections.admit(address(5)).unwrap());
    let closed: Vec<_> = open.iter().map(is_closed).collect();
    assert_eq!(closed, [false, true, false, false, false]);
    assert_eq!(connections.count(), 4);
    assert!(open[1].begin().is_err(), "it is being closed");
}

#[tokio::test]
async fn a_newcomer_is_refused_only_when_all_are_busy() {
    let connections = Connections::new(LIMITS);
    let open: Vec<_> = (1..=4)
        .map(|client| connections.admit(address(client)).unwrap())
        .collect();
    let busy: Vec<_> = open.iter().map(|one| one.begin().unwrap().1).collect();
    assert!(connections.admit(address(5)).is_none());
    drop(busy);
    assert!(connections.admit(address(5)).is_some());
}

#[tokio::test]
async fn one_client_cannot_take_the_room_of_others() {
    let connections = Connections::new(LIMITS);
    let other = connections.admit(address(1)).unwrap();
    let one = connections.admit(address(2)).unwrap();
    let two = connections.admit(address(2)).unwrap();
    // Its third connection takes the place of one of its own.
    let three = connections.admit(address(2)).unwrap();
    assert!(!is_closed(&other) && !is_closed(&three));
    assert!(is_closed(&one) != is_closed(&two));
    let (_, _busy) = three.begin().unwrap();
    drop((one, two));
    let four = connections.admit(address(2)).unwrap();
    let (_, _also_busy) = four.begin().unwrap();
    assert!(connections.admit(address(2)).is_none());
    assert!(connections.admit(address(3)).is_some());
}

#[tokio::test]
async fn requests_in_flight_are_bounded_in_all_and_per_client() {
    let connections = Connections::new(LIMITS);
    let one = connections.admit(address(1)).unwrap();
    let two = connections.admit(address(2)).unwrap();
    let three = connections.admit(address(3)).unwrap();
    let first = one.begin().unwrap();
    let _second = one.begin().unwrap();
    assert_eq!(one.begin().unwrap_err(), Overloaded);
    let _others = [two.begin().unwrap(), two.begin().unwrap()];
    assert_eq!(three.begin().unwrap_err(), Overloaded);
    // The head of an answer makes room, its end need not have come.
    let (permit, _use) = first;
    drop(permit);
    assert!(three.begin().is_ok());
}

#[tokio::test]
async fn bytes_that_wait_to_be_sent_are_bounded_but_one_answer_always_fits() {
    let connections = Connections::new(LIMITS);
    let one = connections.admit(address(1)).unwrap();
    let (_permit, in_use) = one.begin().unwrap();
    let large = in_use.answer(5000).unwrap();
    assert!(in_use.answer(1).is_none());
    drop(large);
    let _half = in_use.answer(500).unwrap();
    assert!(in_use.answer(1).is_none(), "its share is half");
    let two = connections.admit(address(2)).unwrap();
    let (_permit, other) = two.begin().unwrap();
    assert!(other.answer(500).is_some());
}

#[tokio::test]
async fn messages_are_counted_as_they_arrive() {
    let connections = Connections::new(LIMITS);
    let one = connections.admit(address(1)).unwrap();
    let (_permit, in_use) = one.begin().unwrap();
    let (mut first, mut second) = (in_use.message(), in_use.message());
    assert!(first.grow(300) && second.grow(200));
    assert!(!second.grow(1), "its share is half");
    drop(second);
    assert!(first.grow(200));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_barred_waits_for_its_next_connection() {
    let connections = Connections::new(LIMITS);
    let one = connections.admit(address(1)).unwrap();
    one.bar_client();
    drop(one);
    assert!(connections.admit(address(1)).is_none());
    assert!(connections.admit(address(2)).is_some());
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert!(connections.admit(address(1)).is_some());
    let mut open = connections.0.open.lock();
    open.forget_barred(connections.0.now());
    assert!(open.clients.is_empty());
}

#[tokio::test]
async fn what_is_gone_counts_no_more() {
    let connections = Connections::new(LIMITS);
    for _ in 0..100 {
        let one = connections.admit(address(1)).unwrap();
        let (permit, in_use) = one.begin().unwrap();
        let mut message = in_use.message();
        assert!(message.grow(10));
        drop((permit, in_use.answer(10), message, in_use));
    }
    let shared = &connections.0;
    assert_eq!(connections.count(), 0);
    assert!(shared.open.lock().clients.is_empty());
    for counter in [
        &shared.totals.busy,
        &shared.totals.requests,
        &shared.totals.answer_bytes,
        &shared.totals.message_bytes,
    ] {
        assert_eq!(counter.load(Ordering::Relaxed), 0);
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
