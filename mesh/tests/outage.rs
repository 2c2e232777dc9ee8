//! MongoDB is away and comes back, as a client sees it. Alone in its process: what is
//! known of the server is known to all of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{net::SocketAddr, time::Duration};

use slipway_mongo::{Client, StorageError, bounded, bson::doc, connect, testing};
use slipway_runtime::testing::until;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

/// How long one operation waited for a server that is away before it was known.
const SELECTION: Duration = Duration::from_secs(2);

/// The way to the server: dropped, it is cut, with all connections.
async fn way(address: SocketAddr, server: String) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut way = JoinSet::new();
    way.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let server = server.clone();
            connections.spawn(async move {
                let mut server = TcpStream::connect(server).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, way)
}

async fn ask(client: &Client) -> Result<(), StorageError> {
    let database = client.database("slipway_outage");
    bounded(database.run_command(doc! { "ping": 1 }).into_future()).await?;
    Ok(())
}

#[tokio::test]
async fn while_the_server_is_away_nobody_waits_for_it_and_all_goes_on_when_it_is_back() {
    let Some(url) = testing::url() else { return };
    let (_, server) = url.split_once("://").unwrap();
    let server = server.split('/').next().unwrap();
    let server = server.rsplit('@').next().unwrap().to_owned();
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let (address, there) = way(anywhere, server.clone()).await;
    let client = connect(&url.replace(&server, &address.to_string())).await;
    let client = client.unwrap();
    ask(&client).await.unwrap();

    drop(there);
    let noticed = until(async || match ask(&client).await {
        Err(StorageError::Away) => Ok(()),
        other => Err(other),
    });
    noticed.await.unwrap();
    let began = Instant::now();
    for _ in 0..100 {
        let refused = ask(&client).await;
        assert!(matches!(refused, Err(StorageError::Away)), "{refused:?}");
    }
    // All of them together do not wait for as long as one did.
    assert!(began.elapsed() < SELECTION, "{:?}", began.elapsed());

    let (_, _there) = way(address, server).await;
    until(async || ask(&client).await).await.unwrap();
}
