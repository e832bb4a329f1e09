use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::counted::UnderWay;

/// Data of an answer that keeps its request under way until the last byte has left: HTTP/2 holds
/// frames back for as long as the client's windows are full, long after the body has ended.
pub(super) struct Tracked<D> {
    data: D,
    _request: Option<Arc<UnderWay>>,
}

impl<D> Tracked<D> {
    pub(super) const fn new(data: D, request: Option<Arc<UnderWay>>) -> Self {
        Self { data, _request: request }
    }
}

/// All of it is the data's own, so that nothing is copied that would not be without it.
impl<D: Buf> Buf for Tracked<D> {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.data.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        self.data.copy_to_bytes(length)
    }
}
