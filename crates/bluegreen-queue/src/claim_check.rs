use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use crate::HandlerError;
use crate::closure::answered;

/// Payloads that are too large for SQS, kept elsewhere: the message carries a claim on one. Cheap
/// to clone.
///
/// A producer puts a payload away when the message would be larger than the
/// [threshold](Self::with_threshold), then sends the envelope, which keeps its type, version and all
/// else, with the claim in place of the payload. A consumer gets it before the message is
/// dispatched: handlers do not notice. It needs no S3 SDK here; with one, it is this:
///
/// ```ignore
/// let (writer, reader) = (s3.clone(), s3);
/// let claims = ClaimCheck::new(
///     move |key, payload| { let put = writer.put_object().bucket("claims").key(key).body(payload.into_bytes().into());
///         async move { put.send().await?; Ok(()) } },
///     move |key| { let get = reader.get_object().bucket("claims").key(key);
///         async move { match get.send().await {
///             Ok(found) => Ok(Some(String::from_utf8(found.body.collect().await?.to_vec())?)),
///             Err(error) if error.as_service_error().is_some_and(|e| e.is_no_such_key()) => Ok(None),
///             Err(error) => Err(error.into()) } } });
/// ```
///
/// Both sides are given it:
///
/// ```
/// # use bluegreen_queue::{ClaimCheck, ConsumerConfig, ProducerConfig};
/// # let claims = ClaimCheck::new(|_, _| async { Ok(()) }, |_| async { Ok(None) });
/// let producer = ProducerConfig::default().with_claim_check(claims.clone());
/// let consumer = ConsumerConfig::default().with_claim_check(claims);
/// ```
///
/// What goes wrong: a payload that cannot be put away is not sent; one that cannot be got at the
/// moment is a failure, and the message comes again; one that is not there, or is not what was put
/// away, is poison, and the message is parked with the reason. A message that is parked, passed on
/// or redriven keeps its claim.
///
/// Nobody here deletes a payload: a message may come again, also from a dead-letter queue. Give the
/// bucket a lifecycle rule longer than the retention of both queues together (14 days each at most).
/// A send that is tried again puts the payload away anew, under another key.
#[derive(Clone)]
pub struct ClaimCheck {
    put: Arc<Put>,
    get: Arc<Get>,
    pub(crate) threshold: usize,
}

type Put = dyn Fn(String, String) -> Told<()> + Send + Sync;
type Get = dyn Fn(String) -> Told<Option<String>> + Send + Sync;
type Told<T> = Pin<Box<dyn Future<Output = Result<T, HandlerError>> + Send>>;

impl ClaimCheck {
    /// `put` keeps a payload under a key, 32 hexadecimal digits; `get` answers it, or nothing where
    /// it has none. Neither has a time limit here but that of the message's lease.
    #[must_use]
    pub fn new<P, G>(
        put: impl Fn(String, String) -> P + Send + Sync + 'static,
        get: impl Fn(String) -> G + Send + Sync + 'static,
    ) -> Self
    where
        P: Future<Output = Result<(), HandlerError>> + Send + 'static,
        G: Future<Output = Result<Option<String>, HandlerError>> + Send + 'static,
    {
        Self {
            put: Arc::new(move |key, payload| Box::pin(put(key, payload))),
            get: Arc::new(move |key| Box::pin(get(key))),
            threshold: 256 * 1024,
        }
    }

    /// The same with another size of a message, in bytes with its attributes, above which its
    /// payload is put away; at most the producer's [`max_size`](crate::ProducerConfig::max_size).
    /// Default: 262,144, what each queue takes.
    #[must_use]
    pub const fn with_threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// Puts a payload away.
    pub(crate) async fn put(&self, key: &str, payload: &str) -> Result<Claim, HandlerError> {
        let claim = Claim { key: key.to_owned(), bytes: payload.len() };
        let (key, payload) = (key.to_owned(), payload.to_owned());
        answered(async move { (self.put)(key, payload).await }).await.map(|()| claim)
    }

    /// The payload of a claim; why it is poison, where it is not what was put away.
    pub(crate) async fn get(&self, claim: &Claim) -> Result<Result<String, String>, HandlerError> {
        let Claim { key, bytes } = claim;
        let owned = key.clone();
        Ok(match answered(async move { (self.get)(owned).await }).await? {
            Some(payload) if payload.len() == *bytes => Ok(payload),
            Some(payload) => {
                let found = payload.len();
                Err(format!("the payload kept as {key} has {found} bytes, not {bytes}"))
            }
            None => Err(format!("there is no payload kept as {key}")),
        })
    }
}

impl fmt::Debug for ClaimCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimCheck").field("threshold", &self.threshold).finish_non_exhaustive()
    }
}

/// What stands for a payload that is kept elsewhere. As text: its bytes, a colon, its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    key: String,
    bytes: usize,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.bytes, self.key)
    }
}

impl FromStr for Claim {
    type Err = ();

    /// Only what we would write ourselves; anything else is somebody else's field.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (bytes, key) = text.split_once(':').ok_or(())?;
        let claim = Self { key: key.to_owned(), bytes: bytes.parse().map_err(drop)? };
        let hex = |byte: u8| byte.is_ascii_hexdigit();
        let is_ours = claim.to_string() == text && key.len() == 32 && key.bytes().all(hex);
        if is_ours { Ok(claim) } else { Err(()) }
    }
}
