//! A route of the API as a value: how it is served and how it is documented stand together, so that neither can be forgotten.

use std::sync::{Arc, OnceLock};

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::control::Control;
use crate::error::{ControlError, Kind};

/// Makes a schema, with what it refers to left in the generator.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One method of one path.
#[cfg_attr(not(test), expect(dead_code, reason = "what documents a route is read when openapi.json is written anew, which a test does"))]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) query: Option<SchemaOf>,
    pub(crate) body: Option<SchemaOf>,
    pub(crate) answer: Option<SchemaOf>,
    pub(crate) serve: MethodRouter<Late>,
}

impl Route {
    /// A route that reads.
    pub(crate) fn get<H: Handler<T, Late>, T: 'static>(path: &'static str, summary: &'static str, handler: H) -> Self {
        Route::new(Method::GET, MethodFilter::GET, path, summary, handler)
    }

    /// A route that does something.
    pub(crate) fn post<H: Handler<T, Late>, T: 'static>(path: &'static str, summary: &'static str, handler: H) -> Self {
        Route::new(Method::POST, MethodFilter::POST, path, summary, handler)
    }

    /// A route that removes.
    pub(crate) fn delete<H: Handler<T, Late>, T: 'static>(path: &'static str, summary: &'static str, handler: H) -> Self {
        Route::new(Method::DELETE, MethodFilter::DELETE, path, summary, handler)
    }

    fn new<H, T>(method: Method, filter: MethodFilter, path: &'static str, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, Late>,
        T: 'static,
    {
        Route { method, path, summary, query: None, body: None, answer: None, serve: on(filter, handler) }
    }

    /// What may stand behind the question mark.
    pub(crate) fn query<T: JsonSchema>(self) -> Self {
        Route { query: Some(|g| T::json_schema(g)), ..self }
    }

    /// What the body holds.
    pub(crate) fn body<T: JsonSchema>(self) -> Self {
        Route { body: Some(|g| g.subschema_for::<T>()), ..self }
    }

    /// What a good answer holds.
    pub(crate) fn answers<T: JsonSchema>(self) -> Self {
        Route { answer: Some(|g| g.subschema_for::<T>()), ..self }
    }
}

/// The control that comes once the host's brokers are open; health is answered before.
#[derive(Clone, Default)]
pub(crate) struct Late(Arc<OnceLock<(Arc<dyn Control>, Handle)>>);

impl Late {
    /// Hands it in, with the runtime that it is to be asked on. Only the first one counts.
    pub(crate) fn set(&self, control: Arc<dyn Control>, runtime: Handle) {
        let _ = self.0.set((control, runtime));
    }

    /// Asks the control on its own runtime, so that a call which blocks there does not stop health and metrics here. Gone with the request.
    pub(crate) async fn ask<T, F, A>(&self, ask: F) -> Result<T, ControlError>
    where
        T: Send + 'static,
        F: FnOnce(Arc<dyn Control>) -> A + Send + 'static,
        A: Future<Output = Result<T, ControlError>> + Send + 'static,
    {
        let Some((control, runtime)) = self.0.get() else {
            return Err(ControlError::new(Kind::Unreachable, "the host is starting: its brokers are not open yet"));
        };
        let mut task = JoinSet::new();
        task.spawn_on(ask(Arc::clone(control)), runtime);
        match task.join_next().await {
            Some(Ok(answer)) => answer,
            Some(Err(e)) if e.is_panic() => Err(ControlError::new(Kind::Failed, "the host failed over this request: its log tells more")),
            _ => Err(ControlError::new(Kind::Unreachable, "the host is stopping")),
        }
    }
}
