//! What the shipped plugins share out, whatever they are given: no cent is lost or made, and nobody gets a whole cent
//! more or less than the exact share.

use std::path::PathBuf;
use std::sync::LazyLock;

use adjutant::model::Value;
use adjutant::rules::{Context, RuleSet, Sources};
use adjutant::script::{NoRecords, Shared};
use proptest::prelude::*;

static RULES: LazyLock<RuleSet> = LazyLock::new(|| {
    let plugins = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("plugins");
    let sources = Sources::read(&[], &[plugins]).expect("they can be read");
    RuleSet::compile(&sources, &Context::default()).expect("they compile").0
});

fn call(function: &str, args: Vec<Value>) -> Value {
    let args: Vec<Shared> = args.into_iter().map(Shared::new).collect();
    let now = "2026-03-02T10:00:00Z".parse().expect("an instant");
    let given = RULES.sandbox.call(function, &args, now, &NoRecords, &|| false);
    given.unwrap_or_else(|error| panic!("{function}: {error}"))
}

fn whole(value: &Value) -> i64 {
    let Value::Int(number) = value else { panic!("{value} is no whole number") };
    *number
}

fn list(value: &Value) -> &[Value] {
    let Value::List(items) = value else { panic!("{value} is no list") };
    items
}

/// The exact share of each touch, as a fraction: numerators, and what they are of.
fn exact(model: &str, touches: usize) -> (Vec<i64>, i64) {
    let last = touches - 1;
    let one = |at: usize| (0..touches).map(|index| i64::from(index == at)).collect();
    match (model, touches) {
        ("first", _) => (one(0), 1),
        ("last", _) => (one(last), 1),
        ("linear", _) | ("position", 1 | 2) => (vec![1; touches], touches as i64),
        _ => {
            let between = touches as i64 - 2;
            let share = |index| if index == 0 || index == last { 2 * between } else { 1 };
            ((0..touches).map(share).collect(), 5 * between)
        }
    }
}

proptest! {
    #[test]
    fn the_parts_of_a_deal_add_up_to_it(
        cents in 0_i64..1_000_000_000_000,
        touches in 1_usize..40,
        model in prop::sample::select(vec!["first", "last", "linear", "position"]),
    ) {
        let given = call("shares", vec![model.into(), Value::Int(touches as i64), Value::Int(cents)]);
        let parts: Vec<i64> = list(&given).iter().map(whole).collect();
        prop_assert_eq!(parts.len(), touches);
        prop_assert_eq!(parts.iter().sum::<i64>(), cents);
        let (numerators, of) = exact(model, touches);
        for (part, numerator) in parts.iter().zip(numerators) {
            let (exact, of) = (i128::from(cents) * i128::from(numerator), i128::from(of));
            prop_assert!((i128::from(*part) * of - exact).abs() < of, "{model}: {parts:?}");
        }
    }

    /// Of touches at any times by any campaigns, those within ninety days share the deal.
    #[test]
    fn campaigns_get_what_their_touches_get(
        cents in 1_i64..100_000_000,
        touches in prop::collection::vec((0_i64..200, 0_u8..4), 0..25),
    ) {
        let won: adjutant::model::Instant = "2026-03-02T10:00:00Z".parse().expect("an instant");
        let hours = |hours: i64| adjutant::model::Span::from_secs(hours * 3_600);
        let all: Vec<Value> = touches
            .iter()
            .enumerate()
            .map(|(number, (days, campaign))| {
                Value::from([
                    ("id", Value::from(format!("t{number}"))),
                    ("campaign", Value::from(format!("campaign/{campaign}"))),
                    ("at", Value::Instant(won - hours(24 * days))),
                ])
            })
            .collect();
        let args = vec![Value::List(all), Value::Instant(won), "90d".into(), Value::Int(cents)];
        let given = call("deal_credits", args);
        let counted = touches.iter().filter(|(days, _)| *days <= 90).count();
        prop_assert_eq!(whole(given.get("touches").expect("how many")), counted as i64);
        let credits = list(given.get("credits").expect("the credits"));
        for model in ["first", "last", "linear", "position"] {
            let sum: i64 = credits.iter().map(|one| whole(one.get(model).expect("a part"))).sum();
            prop_assert_eq!(sum, if counted == 0 { 0 } else { cents }, "{}", model);
        }
        let counts = |campaign: &Value| {
            let name = campaign.get("campaign").and_then(Value::as_text).unwrap_or_default();
            touches.iter().any(|(days, number)| *days <= 90 && name == format!("campaign/{number}"))
        };
        prop_assert!(credits.iter().all(counts));
    }
}
