//! The webhook: a real receiver that fails, lies, hangs and dies is told every step of every payout, in order, at least once, and holds up nobody.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::Signal;
use serde_json::Value;
use support::{Generation, Message, PATIENCE, Service, World, free_port, read_message, wait_for};

const SECRET: &str = "a secret of the test, long enough";

/// How the receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Takes the events.
    Takes,
    /// Answers with this status, and with the address of another page.
    Answers(u16),
    /// Takes the events and closes without a word.
    ClosesWithoutAWord,
    /// Says something that is no HTTP.
    Babbles,
    /// Takes the events and says nothing until the other side gives up.
    Hangs,
}

/// What came, in order, and how it was answered.
#[derive(Default)]
struct Seen {
    manner: Option<Manner>,
    deliveries: Vec<(Manner, Message)>,
    /// Deliveries that nobody else can have signed.
    signed: usize,
}

/// A receiver on loopback.
#[derive(Clone)]
struct Receiver {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Receiver {
    fn start(port: u16) -> Receiver {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let receiver = Receiver { port, seen: Arc::default() };
        let mine = receiver.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let each = mine.clone();
                thread::spawn(move || each.serve(stream.unwrap()));
            }
        });
        receiver
    }

    fn serve(&self, mut stream: TcpStream) {
        while let Ok(message) = read_message(&mut stream) {
            let signed = is_signed(&message);
            let manner = {
                let mut seen = self.seen.lock().unwrap();
                let manner = seen.manner.unwrap_or(Manner::Takes);
                seen.deliveries.push((manner, message));
                seen.signed += usize::from(signed);
                manner
            };
            let answer = match manner {
                Manner::Takes => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
                Manner::Answers(status) => {
                    format!(
                        "HTTP/1.1 {status} So\r\nLocation: http://127.0.0.1:{}/elsewhere\r\nContent-Length: 0\r\n\r\n",
                        self.port
                    )
                }
                Manner::ClosesWithoutAWord => return,
                Manner::Babbles => "220 mail.example.com ESMTP\r\n".to_owned(),
                Manner::Hangs => {
                    let _ = read_message(&mut stream);
                    return;
                }
            };
            if stream.write_all(answer.as_bytes()).is_err() || manner == Manner::Babbles {
                return;
            }
        }
    }

    fn answer(&self, manner: Manner) {
        self.seen.lock().unwrap().manner = Some(manner);
    }

    /// Waits until somebody was answered like this; forgets nothing.
    fn has_answered(&self, manner: Manner) {
        wait_for(PATIENCE, &format!("{manner:?}"), || {
            self.seen.lock().unwrap().deliveries.iter().any(|(how, _)| *how == manner).then_some(())
        });
    }

    /// The events of all deliveries, whatever was answered, as (taken, event).
    fn events(&self) -> Vec<(bool, Value)> {
        let seen = self.seen.lock().unwrap();
        assert_eq!(seen.signed, seen.deliveries.len());
        let events = seen.deliveries.iter().flat_map(|(manner, message)| {
            assert_eq!(message.path(), "/hook", "no redirect is followed");
            let body: Value = serde_json::from_slice(&message.body).unwrap();
            assert_eq!(
                (body["schema"].as_u64(), body["coin"].as_str(), body["network"].as_str()),
                (Some(1), Some("coin"), Some("regtest"))
            );
            let events = body["events"].as_array().unwrap().clone();
            events.into_iter().map(|event| (*manner == Manner::Takes, event)).collect::<Vec<_>>()
        });
        events.collect()
    }

    /// Credits and reversals, each once, in the order in which they were taken.
    fn credits(&self) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        assert_eq!(seen.signed, seen.deliveries.len());
        let taken = seen.deliveries.iter().filter(|(manner, _)| *manner == Manner::Takes);
        let bodies = taken.map(|(_, message)| serde_json::from_slice::<Value>(&message.body).unwrap());
        let mut credits: Vec<Value> = bodies.flat_map(|body| body["credits"].as_array().unwrap().clone()).collect();
        credits.dedup();
        credits
    }

    /// Waits until this payout was told to have come to this state; the event.
    fn told(&self, payout: &str, state: &str) -> Value {
        let is_it = |event: &Value| event["payout"] == payout && event["to"] == state;
        wait_for(PATIENCE, &format!("{payout} {state}"), || {
            self.events().into_iter().find(|(taken, event)| *taken && is_it(event)).map(|(_, event)| event)
        })
    }
}

/// Whether the signature is what OpenSSL computes.
fn is_signed(message: &Message) -> bool {
    let header = message.header("Bursar-Signature").unwrap();
    let (time, signature) = header.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).unwrap();
    let mut openssl = Command::new("openssl");
    let mut child =
        openssl.args(["dgst", "-sha256", "-hmac", SECRET]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("openssl");
    child.stdin.take().unwrap().write_all(&[time.as_bytes(), b".", &message.body[..]].concat()).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    output.trim_end().ends_with(signature) && signature.len() == 64
}

fn world(port: u16) -> World {
    world_with(port, &[])
}

fn world_with(port: u16, changes: &[(&str, &str)]) -> World {
    let url = format!("\"http://127.0.0.1:{port}/hook\"");
    let listen = format!("\"127.0.0.1:{}\"", free_port());
    let hook = [("webhook.url", url.as_str()), ("webhook.secret_file", "\"hook-secret\""), ("http.listen", &listen)];
    let world = World::with(Generation::Litecoin021, &[&hook, changes].concat());
    let file = world.dir().join("hook-secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    world
}

fn submit(world: &World, id: &str) {
    world.done(&["pay", "submit", "--id", id, "--address", &world.outside_address(), "--amount", "0.25"]);
}

/// Every number came, taken ones rise without a gap, and an event is the same however often it comes.
fn assert_in_order_and_whole(events: &[(bool, Value)]) {
    let number = |event: &Value| event["n"].as_i64().unwrap();
    let taken: Vec<i64> = events.iter().filter(|(taken, _)| *taken).map(|(_, event)| number(event)).collect();
    let mut once = taken.clone();
    once.dedup();
    let first = *once.first().expect("an event");
    assert_eq!(once, (first..).take(once.len()).collect::<Vec<_>>());
    let mut ids: BTreeMap<i64, &Value> = BTreeMap::new();
    for (_, event) in events {
        assert_eq!(*ids.entry(number(event)).or_insert(&event["id"]), &event["id"]);
    }
}

#[test]
fn a_receiver_that_fails_lies_and_hangs_hears_of_every_step_and_holds_up_no_payment() {
    let receiver = Receiver::start(free_port());
    let world = world(receiver.port);
    receiver.answer(Manner::Answers(500));
    let mut service = Service::start(&world);
    world.fund(&["2", "3.5"]);
    world.done(&["ledger", "sync"]);
    submit(&world, "one");
    for manner in [Manner::Answers(500), Manner::Answers(302), Manner::ClosesWithoutAWord, Manner::Babbles] {
        receiver.answer(manner);
        receiver.has_answered(manner);
    }
    let status = world.done(&["status"]);
    assert_eq!(status["webhook"]["waiting"], 3, "one step, and credits of two deposits: {status}");
    assert!(status["webhook"]["last_error"].is_string() && !status.to_string().contains("/hook"), "{status}");
    receiver.answer(Manner::Hangs);
    receiver.has_answered(Manner::Hangs);
    let flushed = world.done(&["pay", "flush"]);
    assert_eq!(flushed["batches"][0]["state"], "sent", "{flushed}");
    receiver.answer(Manner::Takes);
    let sent = receiver.told("one", "sent");
    assert_eq!(sent["txids"][0], flushed["batches"][0]["txid"], "{sent}");
    assert_eq!((sent["amount"].as_str(), sent["from"].as_str()), (Some("0.25000000"), Some("sending")), "{sent}");
    world.mine(3);
    world.done(&["ledger", "sync"]);
    receiver.told("one", "final");

    // The service dies when the receiver has the events and has not said so.
    receiver.answer(Manner::Hangs);
    let before = receiver.seen.lock().unwrap().deliveries.len();
    submit(&world, "two");
    wait_for(PATIENCE, "the delivery", || (receiver.seen.lock().unwrap().deliveries.len() > before).then_some(()));
    service.signal(Signal::KILL);
    service.ended();
    receiver.answer(Manner::Takes);
    let service = Service::start(&world);
    receiver.told("two", "queued");
    let events = receiver.events();
    let times = events.iter().filter(|(_, event)| event["payout"] == "two").count();
    assert_eq!(times, 2, "once before the death, and once after it");
    assert_in_order_and_whole(&events);
    wait_for(PATIENCE, "nothing waits", || (service.metric("bursar_webhook_waiting") == "0").then_some(()));
    let (checks, _) = world.order(&["check"]);
    let check = checks["checks"].as_array().unwrap().iter().find(|check| check["name"] == "webhook").unwrap().clone();
    assert_eq!(check["level"], "ok", "{check}");
    assert!(!service.log().contains(SECRET) && !service.log().contains("/hook"), "{}", service.log());
}

#[test]
fn a_receiver_that_comes_late_hears_of_what_was_ordered_before_the_service_began() {
    let port = free_port();
    let world = world(port);
    let rows: String = (0..2500).map(|n| format!("p{n},{},0.01\n", support::BURN_ADDRESS)).collect();
    fs::write(world.dir().join("rows.csv"), format!("id,address,amount\n{rows}")).unwrap();
    world.done(&["pay", "import", world.dir().join("rows.csv").to_str().unwrap()]);
    let service = Service::start(&world);
    wait_for(PATIENCE, "a failure", || (service.metric("bursar_webhook_failures_total") != "0").then_some(()));
    let receiver = Receiver::start(port);
    receiver.told("p2499", "queued");
    assert_eq!(receiver.events().len(), 2500);
    assert_in_order_and_whole(&receiver.events());
}

#[test]
fn credits_and_reversals_are_told_in_order_and_are_those_of_the_feed() {
    let receiver = Receiver::start(free_port());
    let world = world_with(receiver.port, &[("ledger.credit_depth", "2")]);
    receiver.answer(Manner::Answers(500));
    let mut service = Service::start(&world);
    world.fund(&["5"]);
    let fork = world.height();
    for amount in ["0.5", "0.25"] {
        world.pay_in(&world.new_address(), amount);
    }
    world.mine(2);
    world.done(&["ledger", "sync"]);
    wait_for(PATIENCE, "three events wait", || (service.metric("bursar_webhook_waiting") == "3").then_some(()));
    service.signal(Signal::KILL);
    service.ended();
    let _service = Service::start(&world);
    world.invalidate_from(fork + 1);
    world.mine_to_other_address(4);
    world.done(&["ledger", "sync"]);
    submit(&world, "one");
    receiver.answer(Manner::Takes);
    receiver.told("one", "queued");
    let told = wait_for(PATIENCE, "all credits", || Some(receiver.credits()).filter(|credits| credits.len() == 7));
    let kinds: Vec<_> = told.iter().map(|event| (event["seq"].as_i64().unwrap(), event["type"].as_str().unwrap())).collect();
    let (credit, reversal) = ("credit", "reversal");
    assert_eq!(kinds, [(1, credit), (2, credit), (3, credit), (4, reversal), (5, reversal), (6, credit), (7, credit)]);
    let listed = world.done(&["ledger", "events"]);
    for (told, listed) in told.iter().zip(listed["events"].as_array().unwrap()) {
        assert_eq!((&told["seq"], &told["txid"], &told["of"]), (&listed["seq"], &listed["txid"], &listed["follows"]));
    }
}
