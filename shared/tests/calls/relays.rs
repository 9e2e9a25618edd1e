//! Relays: processes that share nothing but QUIC and stable areas call on behalf of calls, and take over from each
//! other half way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use palib::control::{Answer, InDoubtDecision, Query, RelayRow, RelayStage, What};
use palib::{Call, Client, Error, Policy, Process, Reply, Service, Substitute, Unanswered, Undo};
use tokio::sync::Notify;

use crate::support::Ftm;

const SHOP: (&str, u32, u32) = ("shop", 1, 11);
const SHOP_2: (&str, u32, u32) = ("shop", 1, 12);
const STOCK: (&str, u32, u32) = ("stock", 2, 21);
const CALLER: (&str, u32, u32) = ("caller", 3, 31);
const NOBODY: (&str, u32, u32) = ("nobody", 4, 41);

/// Counts what is taken in atomic mode, and what is brought back; never takes more than 100.
struct Stock;

impl Service for Stock {
    async fn handle(&self, call: Call) -> palib::Result<Reply> {
        if call.text()? == "count" {
            let taken = call.area().get::<u64>("taken")?.unwrap_or(0);
            return Ok(Reply::from(taken.to_string()));
        }
        let wanted: u64 = call.text()?.parse().map_err(|_| Error::failed("not a number"))?;
        call.commit(move |area| {
            let taken = area.get::<u64>("taken")?.unwrap_or(0) + wanted;
            if taken > 100 {
                return Err(Error::failed("sold out"));
            }
            area.put("taken", &taken)?;
            Ok(Reply::from(format!("{wanted} of {taken}")))
        })
        .await
    }

    async fn undo(&self, undo: Undo) -> palib::Result<()> {
        let wanted: u64 = undo.text()?.parse().map_err(|_| Error::failed("not a number"))?;
        undo.commit(move |area| {
            let taken = area.get::<u64>("taken")?.unwrap_or(0);
            area.put("taken", &(taken - wanted))
        })
        .await
    }
}

/// A relay, the stock it takes from, and a caller.
struct Cluster {
    ftm: Ftm,
    shop: Process,
    client: Client,
}

impl Cluster {
    async fn with(shop: impl Service) -> Self {
        let ftm = Ftm::start().await;
        // Before the others are promoted: so they know of it by then.
        ftm.join(ftm.ticket("nobody-1", 5, &[NOBODY])).await;
        let first = ftm.join(ftm.ticket("shop-1", 1, &[SHOP])).await;
        let stock = ftm.join(ftm.ticket("stock-1", 3, &[STOCK])).await;
        let caller = ftm.join(ftm.ticket("caller-1", 4, &[CALLER])).await;
        tokio::spawn(async move { stock.serve("stock", Stock).await });
        ftm.promote("stock", 3).await;
        let serving = first.clone();
        tokio::spawn(async move { serving.serve("shop", shop).await });
        ftm.promote("shop", 1).await;
        let client = tokio::spawn(async move { caller.client("caller").await });
        ftm.promote("caller", 4).await;
        Self { ftm, shop: first, client: client.await.expect("no panic").expect("in service") }
    }

    async fn call(&self, target: &str, body: &str) -> Result<String, String> {
        let done = self.client.call(target, body.to_owned()).await.expect("an outcome");
        done.result().map(|reply| reply.text().expect("text").to_owned())
    }

    async fn taken(&self) -> String {
        self.call("stock", "count").await.expect("a count")
    }

    /// The relay ends half way, and another member takes over.
    async fn take_over(&mut self, shop: impl Service) {
        let next = self.ftm.join(self.ftm.ticket("shop-2", 2, &[SHOP_2])).await;
        self.ftm.exit(&self.shop).await;
        let serving = next.clone();
        tokio::spawn(async move { serving.serve("shop", shop).await });
        self.ftm.promote("shop", 2).await;
        self.shop = next;
    }

    async fn relay(&self) -> Option<RelayRow> {
        let query = Query::Relays { alias: "shop".to_owned(), filter: String::new(), limit: 10 };
        match self.ftm.ask(&self.shop, query).await {
            Ok(Answer::Relays(relays)) => relays.rows.into_iter().next(),
            other => panic!("no relays: {other:?}"),
        }
    }
}

fn text(reply: &Reply) -> palib::Result<String> {
    reply.text().map(str::to_owned)
}

#[tokio::test]
async fn a_relay_calls_one_after_another() {
    async fn shop(call: Call) -> palib::Result<Reply> {
        let first = text(&call.relay("stock", "3").await?)?;
        let second = text(&call.relay("stock", "4").await?)?;
        Ok(Reply::from(format!("{first}, {second}")))
    }
    let cluster = Cluster::with(shop).await;
    assert_eq!(cluster.call("shop", "go").await, Ok("3 of 3, 4 of 7".to_owned()));
    assert_eq!(cluster.taken().await, "7");
    assert_eq!(cluster.relay().await, None);
    cluster.ftm.until_told(|what| matches!(what, What::RelayCompleted { calls: 2, failed: false, .. })).await;
}

#[tokio::test]
async fn a_relay_calls_several_at_once() {
    async fn shop(call: Call) -> palib::Result<Reply> {
        let (first, second) = tokio::join!(call.relay("stock", "3"), call.relay("stock", "4"));
        let (first, second) = (text(&first?)?, text(&second?)?);
        assert!(first.starts_with("3 of ") && second.starts_with("4 of "), "each gets its own answer");
        Ok(Reply::from("both"))
    }
    let cluster = Cluster::with(shop).await;
    assert_eq!(cluster.call("shop", "go").await, Ok("both".to_owned()));
    assert_eq!(cluster.taken().await, "7");
}

#[tokio::test]
async fn branches_number_their_own_calls() {
    async fn shop(call: Call) -> palib::Result<Reply> {
        let part = |amount: &'static str| {
            let branch = call.branch();
            async move {
                branch.relay("stock", amount).await?;
                branch.relay("stock", amount).await
            }
        };
        let (first, second) = tokio::join!(part("1"), part("10"));
        first.and(second)?;
        Ok(Reply::from("both"))
    }
    let cluster = Cluster::with(shop).await;
    assert_eq!(cluster.call("shop", "go").await, Ok("both".to_owned()));
    assert_eq!(cluster.taken().await, "22");
    for wanted in ["1.1", "1.2", "2.1", "2.2"] {
        let there = |what: &What| matches!(what, What::Relayed { position, .. } if position == wanted);
        cluster.ftm.until_told(there).await;
    }
}

#[tokio::test]
async fn an_error_of_the_handler_undoes_what_was_called() {
    async fn shop(call: Call) -> palib::Result<Reply> {
        call.relay("stock", "60").await?;
        call.relay("stock", "30").await?;
        call.relay("stock", "20").await
    }
    let cluster = Cluster::with(shop).await;
    assert_eq!(cluster.call("shop", "go").await, Err("sold out".to_owned()));
    assert_eq!(cluster.taken().await, "0");
    cluster.ftm.until_told(|what| matches!(what, What::Cancelled { undone: true, .. })).await;
    let then =
        |what: &What| matches!(what, What::RolledBack { then, .. } if then == "the error is registered");
    cluster.ftm.until_told(then).await;
}

#[tokio::test]
async fn a_call_on_takes_its_position_when_it_is_asked_for_and_is_made_when_it_is_polled() {
    async fn shop(call: Call) -> palib::Result<Reply> {
        let first = call.relay("stock", "5");
        let second = call.relay("stock", "6");
        drop(first);
        second.await
    }
    let cluster = Cluster::with(shop).await;
    assert_eq!(cluster.call("shop", "go").await, Ok("6 of 6".to_owned()));
    let second = |what: &What| matches!(what, What::Relayed { position, .. } if position == "2");
    cluster.ftm.until_told(second).await;
}

/// A handler that calls twice, and in its first runs never gets further than in between.
#[derive(Clone)]
struct TwoSteps {
    runs: Arc<AtomicU32>,
    half_way: Arc<Notify>,
    /// Runs that stop half way.
    stop: u32,
    /// What each run takes first.
    first: fn(u32) -> &'static str,
}

impl TwoSteps {
    fn new(stop: u32, first: fn(u32) -> &'static str) -> Self {
        Self { runs: Arc::default(), half_way: Arc::default(), stop, first }
    }
}

impl Service for TwoSteps {
    async fn handle(&self, call: Call) -> palib::Result<Reply> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        let first = text(&call.relay("stock", (self.first)(run)).await?)?;
        if run <= self.stop {
            self.half_way.notify_one();
            std::future::pending::<()>().await;
        }
        let second = text(&call.relay("stock", "4").await?)?;
        Ok(Reply::from(format!("{first}, {second}")))
    }
}

#[tokio::test]
async fn a_backup_goes_on_with_what_a_relay_left_half_done() {
    let shop = TwoSteps::new(1, |_| "3");
    let mut cluster = Cluster::with(shop.clone()).await;
    let client = cluster.client.clone();
    let call = tokio::spawn(async move { client.call("shop", "go").await });
    shop.half_way.notified().await;
    cluster.take_over(shop.clone()).await;
    let done = call.await.expect("no panic").expect("an outcome");
    assert_eq!(done.result().expect("a reply").text().expect("text"), "3 of 3, 4 of 7");
    assert_eq!(cluster.taken().await, "7", "the first call was not made again");
    cluster.ftm.until_told(|what| matches!(what, What::RolledForward { .. })).await;
    cluster.ftm.until_told(|what| matches!(what, What::RelayAnswered { replayed: true, .. })).await;
}

#[tokio::test]
async fn a_run_that_leaves_its_journal_waits_for_an_operator_who_rolls_it_back() {
    let shop = TwoSteps::new(1, |run| if run == 2 { "9" } else { "3" });
    let mut cluster = Cluster::with(shop.clone()).await;
    let client = cluster.client.clone();
    let call = tokio::spawn(async move { client.call("shop", "go").await });
    shop.half_way.notified().await;
    cluster.take_over(shop.clone()).await;
    cluster.ftm.until_told(|what| matches!(what, What::Diverged { .. })).await;
    let row = cluster.relay().await.expect("an open transaction");
    assert_eq!(row.stage, RelayStage::Diverged);
    assert!(row.needs_operator);
    assert_eq!(row.why, "the run asked stock 9 where the journal holds stock 3; resolve it");
    let (alias, decision) = ("shop".to_owned(), InDoubtDecision::RollBack);
    let query = Query::Resolve { alias, call: row.id, decision };
    assert_eq!(cluster.ftm.ask(&cluster.shop, query).await, Ok(Answer::Resolved));
    let done = call.await.expect("no panic").expect("an outcome");
    assert_eq!(done.result().expect("a reply").text().expect("text"), "3 of 3, 4 of 7");
    assert_eq!(cluster.taken().await, "7", "what the first run took was brought back");
    assert_eq!(cluster.relay().await, None);
}

#[tokio::test]
async fn a_backup_rolls_back_what_a_relay_left_half_done_if_the_handler_said_so() {
    #[derive(Clone)]
    struct Backwards(TwoSteps);

    impl Service for Backwards {
        fn handle(&self, call: Call) -> impl Future<Output = palib::Result<Reply>> + Send {
            call.on_takeover(Policy::RollBack);
            self.0.handle(call)
        }
    }

    let shop = Backwards(TwoSteps::new(1, |run| if run == 2 { "9" } else { "3" }));
    let mut cluster = Cluster::with(shop.clone()).await;
    let client = cluster.client.clone();
    let call = tokio::spawn(async move { client.call("shop", "go").await });
    shop.0.half_way.notified().await;
    cluster.take_over(shop).await;
    let done = call.await.expect("no panic").expect("an outcome");
    let reply = done.result().expect("a reply");
    assert_eq!(reply.text().expect("text"), "9 of 9, 4 of 13", "performed from the beginning");
    assert_eq!(cluster.taken().await, "13");
    let why = |what: &What| matches!(what, What::RollingBack { why, .. } if why == "takeover");
    cluster.ftm.until_told(why).await;
}

/// Asks an alias that nobody serves, and after a takeover another one.
struct Elsewhere;

impl Service for Elsewhere {
    async fn handle(&self, call: Call) -> palib::Result<Reply> {
        call.on_takeover(Policy::Substitute);
        call.relay("nobody", "3").await
    }

    async fn substitute(&self, call: Unanswered) -> Option<Substitute> {
        assert_eq!((&*call.target, &*call.position), ("nobody", "1"));
        Some(Substitute { target: "stock".to_owned(), body: call.body, cancel_old: false })
    }
}

#[tokio::test]
async fn a_backup_puts_another_call_in_the_place_of_an_unanswered_one() {
    let mut cluster = Cluster::with(Elsewhere).await;
    let client = cluster.client.clone();
    let call = tokio::spawn(async move { client.call("shop", "go").await });
    cluster.ftm.until_told(|what| matches!(what, What::Relayed { .. })).await;
    let row = cluster.relay().await.expect("an open transaction");
    assert_eq!(row.why, "waits for nobody: nobody in service");
    cluster.take_over(Elsewhere).await;
    let done = call.await.expect("no panic").expect("an outcome");
    assert_eq!(done.result().expect("a reply").text().expect("text"), "3 of 3");
    cluster.ftm.until_told(|what| matches!(what, What::Substituted { .. })).await;
}
