//! Accepts connections, bounds them, and hands each request to the core.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use http_body_util as body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::alarm::Alarm;
use super::cors::{self, Verdict};
use super::proof;
use super::receive::receive;
use super::respond::{respond, respond_at_once, tell_standing};
use super::stream::{self, Sent};
use super::workers::Workers;
use crate::core::Core;
use crate::core::fault::Fault;
use crate::core::request::{ClientChain, Peer, Verb};

const CONNECTIONS_MAX: usize = 8192;
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
const HEADERS_MAX: Duration = Duration::from_secs(10);
const REQUEST_MAX: Duration = Duration::from_secs(90);
const DRAIN_MAX: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Says when to stop accepting; listeners finish what they have.
pub type Shutdown = watch::Receiver<bool>;

/// A bound address. `tls` is replaced as a whole when certificates are reloaded.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Arc<ArcSwap<rustls::ServerConfig>>>,
}

pub async fn bind(
    address: SocketAddr,
    tls: Option<Arc<ArcSwap<rustls::ServerConfig>>>,
) -> std::io::Result<Listener> {
    Ok(Listener {
        tcp: TcpListener::bind(address).await?,
        tls,
    })
}

impl Listener {
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until told to stop, then waits a moment for open connections.
    pub async fn serve(self, core: Arc<Core>, workers: Arc<Workers>, mut shutdown: Shutdown) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                () = stopped(&mut shutdown) => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                // Out of file descriptors, most likely: others will be closed.
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let core = Arc::clone(&core);
            let peer = Peer {
                address: peer.ip().to_canonical(),
                chain: None,
            };
            let tls = self.tls.as_ref().map(|tls| tls.load_full());
            let shutdown = shutdown.clone();
            let served = workers.spawn(stream, |stream| async move {
                connection(stream, peer, tls, core, shutdown).await;
                drop(permit);
            });
            if let Err(error) = served {
                tracing::warn!(%error, "a connection was lost");
            }
        }
        // The listening socket closes now, so that the port is free at once.
        drop(self.tcp);
        let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(DRAIN_MAX, room.acquire_many(all)).await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: Peer,
    tls: Option<Arc<rustls::ServerConfig>>,
    core: Arc<Core>,
    shutdown: Shutdown,
) {
    // Answers are small: waiting to fill a packet only adds delay.
    let _ = stream.set_nodelay(true);
    match tls {
        None => http(stream, peer, core, shutdown).await,
        Some(tls) => {
            let handshake = tokio::time::timeout(HANDSHAKE_MAX, handshake(stream, tls, &core));
            if let Ok(Some(stream)) = handshake.await {
                let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let chain = ClientChain::new(shown);
                let peer = Peer { chain, ..peer };
                http(stream, peer, core, shutdown).await;
            }
        }
    }
}

/// `None` if there is none, or if it was all that was wanted.
async fn handshake(
    stream: TcpStream,
    tls: Arc<rustls::ServerConfig>,
    core: &Core,
) -> Option<TlsStream<TcpStream>> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream)
        .await
        .ok()?;
    if proof::is_wanted(&start.client_hello()) {
        Box::pin(proof::shake_hands(start, core)).await;
        return None;
    }
    start.into_stream(tls).await.ok()
}

async fn http<S>(stream: S, peer: Peer, core: Arc<Core>, mut shutdown: Shutdown)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut sealed = core.sealed();
    let heard = Notify::new();
    let alarm = Alarm::default();
    // The core has the tables; a router in between would only cost time.
    let service = service_fn(|request| {
        heard.notify_one();
        let (core, peer, alarm) = (Arc::clone(&core), peer.clone(), alarm.clone());
        async move { Ok::<_, Infallible>(answer(core, peer, alarm, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(alarm.clone())
        .header_read_timeout(HEADERS_MAX)
        .max_buf_size(64 << 10)
        // Who has said all still wants the answer; looking for more meanwhile takes time and a buffer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ending = async {
        tokio::select! {
            () = stopped(&mut shutdown) => {}
            // The buffers of an idle connection hold its last request. One without any is left open:
            // its first request may be on the way, and would find no answer.
            () = async {
                let _ = sealed.changed().await;
                heard.notified().await;
            } => {}
        }
    };
    // Asked only when it has something to say, not each time the connection has.
    let mut ending = FuturesUnordered::from_iter([ending]);
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = ending.next() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

pub(super) async fn stopped(shutdown: &mut Shutdown) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

async fn answer(
    core: Arc<Core>,
    peer: Peer,
    alarm: Alarm,
    request: http::Request<Incoming>,
) -> Sent {
    match cors::judge(&core, request.method(), request.headers()) {
        Verdict::Silent => api(core, peer, &alarm, request).await,
        Verdict::Allowed(headers) => {
            let mut answer = api(core, peer, &alarm, request).await;
            answer.headers_mut().extend(headers);
            answer
        }
        Verdict::Answered(answer) => answer.map(body::Either::Left),
    }
}

async fn api(core: Arc<Core>, peer: Peer, alarm: &Alarm, request: http::Request<Incoming>) -> Sent {
    let id = vault_crypto::uuid_v4(&core.ids);
    let receiving = pin!(receive(request, id.clone(), peer, (core.clock)()));
    let received = match alarm.within(REQUEST_MAX, receiving).await {
        Some(Ok(received)) => received,
        Some(Err(refused)) => return respond_at_once(refused, &id).map(body::Either::Left),
        None => {
            let late = Fault::invalid("the request took too long to arrive");
            return respond(Err(late), &id, false).map(body::Either::Left);
        }
    };
    if let Some(last) = received.follows {
        return stream::serve(core, received.request, last).await;
    }
    let request = received.request;
    let head = request.head;
    let (outcome, standing) = if matches!(request.verb, Verb::Read | Verb::List) {
        let served = pin!(AssertUnwindSafe(core.handle(&request)).catch_unwind());
        let served = alarm.within(REQUEST_MAX, served).await.map(Result::ok);
        (served, request.standing.get().copied())
    } else {
        // What has an effect runs on a task of its own and is finished even if the client hangs up: an
        // effect always gets its closing audit record.
        let served = tokio::spawn(async move {
            let outcome = core.handle(&request).await;
            (outcome, request.standing.into_inner())
        });
        match alarm.within(REQUEST_MAX, served).await {
            Some(Ok((outcome, standing))) => (Some(Some(outcome)), standing),
            Some(Err(_)) => (Some(None), None),
            None => (None, None),
        }
    };
    let outcome = match outcome {
        Some(Some(outcome)) => outcome,
        Some(None) => Err(Fault::Internal("the request failed inside the server")),
        None => Err(Fault::Internal("the request took too long")),
    };
    let mut answer = respond(outcome, &id, head);
    if let Some(standing) = standing {
        tell_standing(&mut answer, standing);
    }
    answer.map(body::Either::Left)
}
