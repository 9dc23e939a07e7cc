//! A proxy in front of a daemon's RPC port that misbehaves on order, one behaviour per method.

use std::collections::HashMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::rpc::{CALL_TIMEOUT, Message, read_message};
use super::wait_for;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It goes through.
    Pass,
    /// The connection is closed; the daemon never sees the call.
    DropCall,
    /// The daemon carries it out; the connection is closed instead of the reply.
    DropReply,
    /// The daemon carries it out; the reply comes late.
    DelayReply(Duration),
    /// The daemon carries it out; only so many bytes of the reply come, then the connection is closed.
    TruncateReply(usize),
    /// The connection is closed, and the daemon gets a late copy of the call: what a fence is for.
    LateCopy(Duration),
    /// The same; the copy comes when the test says so ([`FaultProxy::send_copies`]).
    CopyOnOrder,
    /// The daemon never sees the call; this HTTP status and body come back.
    Answer(u16, String),
    /// The daemon never sees the call; this JSON-RPC error comes back, by code and text.
    Refuse(i64, String),
}

impl Fault {
    /// What daemons up to 0.21 say when their queue is full.
    pub fn queue_full() -> Fault {
        Fault::Answer(500, "Work queue depth exceeded".to_owned())
    }
}

/// One call as the proxy sees it.
pub struct Call<'a> {
    /// The JSON-RPC method, of the first of several calls in one request; empty when it is not JSON-RPC.
    pub method: String,
    /// The parameters.
    pub params: Value,
    /// The JSON-RPC id.
    pub id: Value,
    /// The request as it came.
    pub request: &'a Message,
}

/// When a watcher is asked about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The call is here, and the daemon has not seen it.
    Arrived,
    /// The daemon has answered, and bursar has not seen it; the fault that is returned then means nothing.
    Answered,
}

/// Sees each call twice, by its method, and may do anything meanwhile: the call waits.
pub type Watcher = dyn Fn(Moment, &str) -> Fault + Send + Sync;

type Rewrite = dyn Fn(&Call<'_>, &Upstream) -> Option<(u16, String)> + Send + Sync;

#[derive(Default)]
struct Orders {
    always: HashMap<String, Fault>,
    once: HashMap<String, Vec<Fault>>,
    seen: HashMap<String, usize>,
    forwarded: HashMap<String, usize>,
    watcher: Option<Arc<Watcher>>,
    copies_are_sent: bool,
}

/// The proxy. Ends with the value.
pub struct FaultProxy {
    address: SocketAddr,
    orders: Arc<Mutex<Orders>>,
    stopping: Arc<AtomicBool>,
}

/// The daemon behind the proxy.
#[derive(Clone)]
pub struct Upstream {
    address: SocketAddr,
    orders: Arc<Mutex<Orders>>,
}

impl FaultProxy {
    /// A proxy on a free port of loopback, in front of `upstream`, that lets everything through.
    pub fn start(upstream: SocketAddr) -> FaultProxy {
        FaultProxy::start_rewriting(upstream, Box::new(|_, _| None))
    }

    /// The same; `rewrite` may answer a call itself, after the faults were looked at.
    pub fn start_rewriting(upstream: SocketAddr, rewrite: Box<Rewrite>) -> FaultProxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let orders = Arc::<Mutex<Orders>>::default();
        let stopping = Arc::new(AtomicBool::new(false));
        let upstream = Upstream { address: upstream, orders: orders.clone() };
        let (stop, rewrite) = (stopping.clone(), Arc::<Rewrite>::from(rewrite));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (upstream, rewrite) = (upstream.clone(), rewrite.clone());
                thread::spawn(move || serve(stream, &upstream, &*rewrite));
            }
        });
        FaultProxy { address, orders, stopping }
    }

    /// Where it listens: the coin's `rpc_connect`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, every call of `method` has this fault (`*`: every method that has none of its own).
    pub fn set(&self, method: &str, fault: Fault) {
        self.orders.lock().expect("orders").always.insert(method.to_owned(), fault);
    }

    /// The next call of `method` has this fault, the one after it none (or the next ordered).
    pub fn once(&self, method: &str, fault: Fault) {
        self.orders.lock().expect("orders").once.entry(method.to_owned()).or_default().push(fault);
    }

    /// From now on this watcher sees each call, and chooses the fault of those that have none by order; none: nobody does.
    pub fn watch(&self, watcher: Option<Arc<Watcher>>) {
        self.orders.lock().expect("orders").watcher = watcher;
    }

    /// From now on the copies that wait for this order go to the daemon.
    pub fn send_copies(&self) {
        self.orders.lock().expect("orders").copies_are_sent = true;
    }

    /// From now on each answer to `method` waits until what is returned is dropped.
    pub fn hold_answers(&self, method: &str) -> Sender<()> {
        let (held, until) = mpsc::channel();
        let (until, method) = (Mutex::new(until), method.to_owned());
        self.watch(Some(Arc::new(move |moment, seen| {
            if moment == Moment::Answered && seen == method {
                let _ = until.lock().expect("the end").recv();
            }
            Fault::Pass
        })));
        held
    }

    /// Forgets all faults.
    pub fn clear(&self) {
        let mut orders = self.orders.lock().expect("orders");
        orders.always.clear();
        orders.once.clear();
    }

    /// Calls of `method` that reached the proxy.
    pub fn seen(&self, method: &str) -> usize {
        self.orders.lock().expect("orders").seen.get(method).copied().unwrap_or_default()
    }

    /// Calls of `method` that were given to the daemon.
    pub fn forwarded(&self, method: &str) -> usize {
        self.orders.lock().expect("orders").forwarded.get(method).copied().unwrap_or_default()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the listener so that it sees the order.
        let _ = TcpStream::connect(self.address);
    }
}

impl Orders {
    fn next_fault(&mut self, method: &str) -> Fault {
        *self.seen.entry(method.to_owned()).or_default() += 1;
        if let Some(queue) = self.once.get_mut(method)
            && !queue.is_empty()
        {
            return queue.remove(0);
        }
        self.always.get(method).or_else(|| self.always.get("*")).cloned().unwrap_or(Fault::Pass)
    }
}

impl Upstream {
    fn fault_of(&self, method: &str) -> Fault {
        let fault = self.orders.lock().expect("orders").next_fault(method);
        match self.watched(Moment::Arrived, method) {
            Some(watchers) if fault == Fault::Pass => watchers,
            _ => fault,
        }
    }

    /// The lock is not held: a watcher may take its time, and other calls come in between.
    fn watched(&self, moment: Moment, method: &str) -> Option<Fault> {
        let watcher = self.orders.lock().expect("orders").watcher.clone();
        watcher.map(|watcher| watcher(moment, method))
    }

    /// Gives a request to the daemon, with another path and body where given, and returns status and body of the reply.
    pub fn forward(&self, call: &Call<'_>, path: Option<&str>, body: Option<&str>) -> std::io::Result<(u16, String)> {
        let request = call.request;
        *self.orders.lock().expect("orders").forwarded.entry(call.method.clone()).or_default() += 1;
        let body = body.map_or(request.body.as_slice(), str::as_bytes);
        let authorization = request.header("authorization").unwrap_or_default();
        let mut bytes = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: {authorization}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            path.unwrap_or(request.path()),
            self.address,
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        super::rpc::exchange(self.address, &bytes)
    }
}

fn serve(mut client: TcpStream, upstream: &Upstream, rewrite: &Rewrite) {
    while let Ok(request) = read_message(&mut client) {
        if serve_one(&mut client, &request, upstream, rewrite).is_err() {
            return;
        }
    }
}

/// An error closes the connection.
fn serve_one(client: &mut TcpStream, request: &Message, upstream: &Upstream, rewrite: &Rewrite) -> std::io::Result<()> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let first = if body.is_array() { &body[0] } else { &body };
    let method = first["method"].as_str().unwrap_or_default().to_owned();
    let call = Call { method, params: body["params"].clone(), id: body["id"].clone(), request };
    let pass = || {
        let reply = rewrite(&call, upstream).map_or_else(|| upstream.forward(&call, None, None), Ok);
        upstream.watched(Moment::Answered, &call.method);
        reply
    };
    let hang_up = || std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
    match upstream.fault_of(&call.method) {
        Fault::Pass => client.write_all(&http(&pass()?)),
        Fault::DropCall => Err(hang_up()),
        Fault::DropReply => pass().and(Err(hang_up())),
        Fault::DelayReply(delay) => {
            let reply = pass()?;
            thread::sleep(delay);
            client.write_all(&http(&reply))
        }
        Fault::TruncateReply(length) => {
            let reply = http(&pass()?);
            client.write_all(&reply[..length.min(reply.len())])?;
            Err(hang_up())
        }
        Fault::LateCopy(delay) => {
            client.shutdown(std::net::Shutdown::Both)?;
            thread::sleep(delay);
            pass().and(Err(hang_up()))
        }
        Fault::CopyOnOrder => {
            client.shutdown(std::net::Shutdown::Both)?;
            let ordered = || upstream.orders.lock().expect("orders").copies_are_sent.then_some(());
            wait_for(CALL_TIMEOUT, "the order for the copy", ordered);
            pass().and(Err(hang_up()))
        }
        Fault::Answer(status, body) => client.write_all(&http(&(status, body))),
        Fault::Refuse(code, message) => {
            let error = json!({"code": code, "message": message});
            let body = json!({"result": null, "error": error, "id": call.id}).to_string();
            client.write_all(&http(&(500, body)))
        }
    }
}

fn http((status, body): &(u16, String)) -> Vec<u8> {
    format!("HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}
