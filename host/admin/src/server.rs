//! The HTTP server: a thread with a runtime of its own, so that health and metrics answer whatever the data plane does.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::control::Control;
use crate::error::{ControlError, Kind};
use crate::guard::{self, Guard, MAX_BODY};
use crate::listen::Listener;
use crate::model::Host;
use crate::readiness::Readiness;
use crate::route::{Late, Route};
use crate::{health, host, openapi, page, routes};

/// Connections at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 256;
/// Headers of one request.
const MAX_HEADERS: usize = 64;
/// How long a connection may take for the head of its next request.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long requests may still take once the server is stopped.
const STOP_TIME: Duration = Duration::from_secs(1);

/// Renders the metrics.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What is served from the start. The API answers "starting" until [`Server::open`].
pub struct Serve {
    /// What `/readyz` says.
    pub readiness: Readiness,
    /// Who the host is.
    pub host: Host,
    /// What `/metrics` says; `None`: there is no such page.
    pub metrics: Option<Metrics>,
}

/// A running server. Dropped, it stops.
pub struct Server {
    address: SocketAddr,
    late: Late,
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves on what was bound.
    pub fn start(listener: Listener, serve: Serve) -> io::Result<Self> {
        let late = Late::default();
        let address = listener.address();
        let router = router(&serve, Arc::new(Guard::new(listener.token)), late.clone());
        let (stop, stopped) = watch::channel(());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let socket = {
            let _guard = runtime.enter();
            TcpListener::from_std(listener.socket)?
        };
        let thread = std::thread::Builder::new().name("admin".into()).spawn(move || runtime.block_on(run(socket, router, stopped)))?;
        Ok(Server { address, late, stop: Some(stop), thread: Some(thread) })
    }

    /// Opens the API: `control` is asked on `runtime`. The first call counts.
    pub fn open(&self, control: Arc<dyn Control>, runtime: Handle) {
        self.late.set(control, runtime);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets requests end for a second at most, then ends. Blocks until then.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the admin server failed");
        }
    }
}

/// Everything that is served.
pub(crate) fn router(serve: &Serve, guard: Arc<Guard>, late: Late) -> Router {
    let admit = || from_fn_with_state(Arc::clone(&guard), guard::admit);
    let bound = from_fn_with_state(Arc::clone(&guard), guard::bound);
    let open = mount(health::probes(&serve.readiness)).merge(mount(page::routes())).merge(mount(openapi::routes()));
    let api = mount(routes::all())
        .merge(mount(host::routes(&serve.host)))
        .route_layer(DefaultBodyLimit::max(MAX_BODY))
        .route_layer(bound)
        .route_layer(admit());
    let metrics = health::metrics(serve.metrics.clone());
    let metrics = if metrics.is_empty() { Router::new() } else { mount(metrics).route_layer(admit()) };
    open.merge(api)
        .merge(metrics)
        .fallback(|| async { ControlError::not_found("there is no such page; /api/v1/openapi.json lists all") })
        .method_not_allowed_fallback(|| async { ControlError::new(Kind::MethodNotAllowed, "this page has no such method") })
        .with_state(late)
}

fn mount(routes: Vec<Route>) -> Router<Late> {
    routes.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.serve))
}

async fn run(socket: TcpListener, router: Router, mut stopped: watch::Receiver<()>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, socket.accept().await)
        };
        tokio::select! {
            _ = stopped.changed() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            (permit, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let (router, stopped) = (router.clone(), stopped.clone());
                    connections.spawn(async move {
                        let _permit = permit;
                        serve(stream, router, stopped).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection to the admin server");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(socket);
    let _ = tokio::time::timeout(STOP_TIME, async { while connections.join_next().await.is_some() {} }).await;
}

/// Serves one connection until it ends; once the server stops, no further than the request that is being answered.
async fn serve(stream: TcpStream, router: Router, mut stopped: watch::Receiver<()>) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the admin server ended early");
    }
}
