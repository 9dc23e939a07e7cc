//! 64 clients submit while the service is killed again and again: what was acknowledged is there, and what is repeated is there once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bursar::coin::Amount;
use bursar::payout::{self, Filter};
use bursar::store::Store;
use rustix::process::Signal;
use serde_json::json;

use crate::client::{Client, api_world, payee, token};
use crate::support::{Generation, PATIENCE, Service, wait_for};

const CLIENTS: usize = 64;
const KILLS: usize = 4;
/// Acknowledgements between two kills: enough for every client to have some of its own and others under way.
const BETWEEN_KILLS: usize = 640;

/// What one client asked for.
#[derive(Clone)]
struct Asked {
    id: String,
    address: String,
    /// In base units.
    amount: i64,
}

impl Asked {
    fn new(client: usize, number: i64) -> Asked {
        let payee = payee(u8::try_from(client).expect("a small number"));
        Asked { id: format!("client {client} #{number}"), address: payee, amount: 1000 + number }
    }

    fn body(&self) -> String {
        let amount = Amount::from_base_units(self.amount).to_decimal(8);
        json!({"id": self.id, "address": self.address, "amount": amount}).to_string()
    }
}

#[test]
fn no_acknowledged_submission_of_64_clients_is_lost_when_the_service_is_killed() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "shop", "submit");
    let mut service = Service::start(&world);
    let (acknowledged, count) = (Mutex::new(Vec::<Asked>::new()), AtomicUsize::new(0));
    let (unanswered, over) = (Mutex::new(Vec::<Asked>::new()), AtomicBool::new(false));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (world, token, acknowledged, unanswered, count, over) =
                (&world, &token, &acknowledged, &unanswered, &count, &over);
            scope.spawn(move || {
                let mut api = Client::new(world, token);
                for number in 0.. {
                    if over.load(Ordering::Acquire) {
                        break;
                    }
                    let asked = Asked::new(client, number);
                    match api.call("POST", "/v1/payouts", &asked.body()) {
                        Ok(reply) if reply.status() == 201 => {
                            acknowledged.lock().expect("the list").push(asked);
                            count.fetch_add(1, Ordering::AcqRel);
                        }
                        Ok(reply) => panic!("{}: {}", reply.head, String::from_utf8_lossy(&reply.body)),
                        Err(_) => {
                            unanswered.lock().expect("the list").push(asked);
                            // It may be away for a moment.
                            thread::sleep(Duration::from_millis(20));
                        }
                    }
                }
            });
        }
        for kill in 1..=KILLS {
            let enough = kill * BETWEEN_KILLS;
            wait_for(PATIENCE, "submissions are acknowledged", || (count.load(Ordering::Acquire) >= enough).then_some(()));
            service.signal(Signal::KILL);
            service.ended();
            service = Service::start(&world);
        }
        over.store(true, Ordering::Release);
    });
    let (acknowledged, unanswered) = (acknowledged.into_inner().expect("it"), unanswered.into_inner().expect("it"));
    assert!(unanswered.len() >= KILLS, "the kills hit nobody: {} unanswered", unanswered.len());

    let mut api = Client::new(&world, &token);
    let mut known_before = 0;
    for asked in &unanswered {
        let reply = api.call("POST", "/v1/payouts", &asked.body()).expect("an answer");
        assert!(matches!(reply.status(), 200 | 201), "{}", reply.head);
        known_before += usize::from(reply.status() == 200);
    }
    eprintln!("{} acknowledged, {} unanswered, {known_before} of those queued", acknowledged.len(), unanswered.len());
    assert!(service.stop().success());
    let mut store = Store::open(&world.coin().service_dir()).expect("the store");
    let all = payout::list(&mut store, &Filter { limit: usize::MAX, ..Filter::default() }).expect("the payouts");
    assert_eq!(all.len(), acknowledged.len() + unanswered.len(), "each is there once, and nothing else is");
    for asked in acknowledged.iter().chain(&unanswered) {
        let kept = payout::show(&mut store, &asked.id.parse().expect("an id")).expect("it is there").payout;
        assert_eq!((kept.address.as_str(), kept.amount.base_units()), (asked.address.as_str(), asked.amount), "{}", asked.id);
    }
}
