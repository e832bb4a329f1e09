//! The world as the HTTP client of an SDK.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;

use crate::World;

/// Answers each request from the world, within the read time-out of the client.
#[derive(Clone, Debug)]
pub(crate) struct InProcess {
    world: World,
    read_timeout: Option<Duration>,
}

impl InProcess {
    pub(crate) fn new(world: World) -> Self {
        Self { world, read_timeout: None }
    }
}

impl HttpClient for InProcess {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let read_timeout = settings.read_timeout();
        SharedHttpConnector::new(Self { world: self.world.clone(), read_timeout })
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { world, read_timeout } = self.clone();
        HttpConnectorFuture::new(async move {
            let answer = answer(&world, request);
            match read_timeout {
                None => answer.await,
                Some(limit) => match tokio::time::timeout(limit, answer).await {
                    Ok(answered) => answered,
                    Err(elapsed) => Err(ConnectorError::timeout(elapsed.into())),
                },
            }
        })
    }
}

async fn answer(world: &World, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = whole(request).await?;
    let response =
        world.answer(request).await.map_err(|broken| ConnectorError::io(broken.into()))?;
    let response = response.map(SdkBody::from);
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}

/// The request with its body in one piece.
async fn whole(request: HttpRequest) -> Result<Request<Bytes>, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let body = match body.bytes() {
        Some(bytes) => Bytes::copy_from_slice(bytes),
        None => body.collect().await.map_err(ConnectorError::user)?.to_bytes(),
    };
    Ok(Request::from_parts(parts, body))
}
