//! WASI 0.2 for guests: clocks, random numbers, and output that goes to the log line by line.
//!
//! No files, no sockets, no environment, no arguments: the interfaces are there, because toolchains import them whether or not they are
//! used, and have nothing to give.

use bytes::Bytes;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use crate::guest_log::{GuestLog, Output};

/// Bytes that a guest may write at once.
const WRITE: usize = 64 << 10;

pub(crate) fn context(log: &GuestLog) -> WasiCtx {
    WasiCtxBuilder::new()
        .allow_tcp(false)
        .allow_udp(false)
        .stdout(Captured { output: Output::Stdout, log: log.clone() })
        .stderr(Captured { output: Output::Stderr, log: log.clone() })
        .build()
}

#[derive(Clone)]
struct Captured {
    output: Output,
    log: GuestLog,
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink()) // WASI 0.3 alone asks for it, which this host does not have.
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}

impl OutputStream for Captured {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.bytes(self.output, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE)
    }
}
