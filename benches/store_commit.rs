//! What a commit costs: batches of 1, 64 and 512 rows of 400 bytes, on sled on the disk of the
//! working directory and in memory. Rows are new and numbered, as the engine's are.

use std::hint::black_box;

use adjutant::store::{Batch, MemoryStore, Op, SledOptions, SledStore, Store, SyncMode, honest};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Bytes of a row's value.
const VALUE: usize = 400;

fn commits(criterion: &mut Criterion) {
    honest::install().expect("the filter is what is measured");
    let dir = tempfile::tempdir_in(".").expect("the working directory can be written");
    let sled = |name: &str, sync| {
        let options = SledOptions { sync, ..SledOptions::default() };
        SledStore::open_with(&dir.path().join(name), &options).expect("a new store opens")
    };
    bench(criterion, "memory", &MemoryStore::new());
    bench(criterion, "sled", &sled("sled", None));
    bench(criterion, "sled-fdatasync", &sled("fdatasync", Some(SyncMode::Fdatasync)));
}

fn bench(criterion: &mut Criterion, name: &str, store: &impl Store) {
    let lead = store.lead().expect("a new store can be led");
    let (mut number, mut row) = (lead.number, 0_u64);
    let mut group = criterion.benchmark_group(format!("commit/{name}"));
    for rows in [1, 64, 512] {
        group.throughput(Throughput::Elements(rows));
        group.bench_with_input(BenchmarkId::from_parameter(rows), &rows, |bencher, &rows| {
            bencher.iter(|| {
                let ops = (row..row + rows)
                    .map(|n| Op::Put(n.to_be_bytes().to_vec(), vec![n as u8; VALUE]))
                    .collect();
                row += rows;
                number += 1;
                let batch = Batch { epoch: lead.epoch, number, ops };
                store.commit(black_box(&batch)).expect("a commit succeeds");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, commits);
criterion_main!(benches);
