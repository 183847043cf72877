//! A fleet of databases in several clusters: which there are, what each shares with others, and who is asked how often.

use super::random::Random;
use std::collections::BTreeSet;

/// The clusters; the last one is where updates are tried.
pub const CLUSTERS: [&str; 12] =
    ["eu-1", "eu-2", "eu-3", "eu-4", "eu-5", "eu-6", "us-1", "us-2", "us-3", "us-4", "us-5", "lab-1"];
/// Number of the cluster where updates are tried.
pub const LAB: usize = 11;
/// `MariaDB` instances of the whole fleet and, among them, those of the lab.
const MARIADB: (usize, usize) = (600, 12);
/// The same of Redis.
const REDIS: (usize, usize) = (700, 13);
/// Storage class of the volumes that do not survive the update.
pub const OLD_CLASS: &str = "ceph-rbd-v1";
const NEW_CLASS: &str = "ceph-rbd-v2";
/// Instances of either kind on the old class, none of them in the lab: 230 in all.
const OLD: (usize, usize) = (130, 100);

/// One database instance.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its host name.
    pub address: String,
    /// `db.namespace`: the site's database; for Redis, its number.
    pub namespace: String,
    /// Number of its cluster.
    pub cluster: usize,
    /// `k8s.storageclass.name` of its volume.
    pub storage_class: &'static str,
}

impl Database {
    /// Whether its volume does not survive the update.
    pub fn is_doomed(&self) -> bool {
        self.storage_class == OLD_CLASS
    }
}

/// Databases with the traffic that each gets.
#[derive(Clone, Debug)]
struct Pool {
    all: Vec<Database>,
    /// Ends of the databases' ranges of numbers to draw.
    upto: Vec<u64>,
}

/// All databases.
#[derive(Clone, Debug)]
pub struct Fleet {
    mariadb: Pool,
    /// By cluster: a site's Redis is where its `MariaDB` is.
    redis: Vec<Pool>,
    outage: Outage,
}

/// What happens to the databases whose volumes do not survive an update that begins with the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outage {
    /// No update.
    #[default]
    None,
    /// Calls to them fail for the first three tenths of the window; then they are not called any more.
    Everywhere,
    /// The update is tried: there is traffic in the lab only, which has none of them.
    Lab,
}

/// The databases behind one request.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    mariadb: usize,
    cluster: usize,
    redis: usize,
}

impl Fleet {
    /// 600 `MariaDB` and 700 Redis instances in 12 clusters.
    pub fn new() -> Fleet {
        let mariadb = databases(MARIADB, OLD.0, |number, cluster| {
            (format!("mariadb-{number:03}.{cluster}.db.internal"), format!("site_{number:03}"))
        });
        let redis = databases(REDIS, OLD.1, |number, cluster| {
            (format!("redis-{number:03}.{cluster}.db.internal"), "0".to_owned())
        });
        let of_cluster = |cluster| Pool::new(redis.iter().filter(|(one, _)| one.cluster == cluster).cloned().collect());
        Fleet {
            redis: (0..CLUSTERS.len()).map(of_cluster).collect(),
            mariadb: Pool::new(mariadb),
            outage: Outage::None,
        }
    }

    /// Lets an update happen.
    pub fn update(&mut self, outage: Outage) {
        self.outage = outage;
    }

    /// Draws the databases of a request's site; `without` is a `MariaDB` that is not called.
    pub fn site(&self, without: Option<u32>, random: &mut Random) -> Site {
        let mut mariadb = self.mariadb.draw(random);
        // The update's trial sees the same traffic as the lab sees before.
        while self.outage == Outage::Lab && self.cluster_of(mariadb) != LAB || without == Some(mariadb as u32) {
            mariadb = self.mariadb.draw(random);
        }
        let cluster = self.cluster_of(mariadb);
        Site { mariadb, cluster, redis: self.redis.get(cluster).map_or(0, |pool| pool.draw(random)) }
    }

    fn cluster_of(&self, mariadb: usize) -> usize {
        self.mariadb.all.get(mariadb).map_or(0, |database| database.cluster)
    }

    /// The site's `MariaDB`.
    pub fn mariadb(&self, site: Site) -> Option<&Database> {
        self.mariadb.all.get(site.mariadb)
    }

    /// The site's Redis.
    pub fn redis(&self, site: Site) -> Option<&Database> {
        self.redis.get(site.cluster)?.all.get(site.redis)
    }

    /// Whether calls to a database fail at this moment, a share of the window.
    pub fn fails(&self, database: &Database, moment: f64) -> bool {
        self.outage == Outage::Everywhere && database.is_doomed() && moment < 0.3
    }

    /// Whether a database is given up at this moment: nobody calls it any more.
    pub fn is_given_up(&self, database: &Database, moment: f64) -> bool {
        self.outage == Outage::Everywhere && database.is_doomed() && moment >= 0.3
    }

    /// The doomed instances by name, sorted: `address/namespace` of either kind.
    pub fn doomed(&self, mariadb: bool) -> BTreeSet<String> {
        let all: Vec<&Database> =
            if mariadb { self.mariadb.all.iter().collect() } else { self.redis.iter().flat_map(|p| &p.all).collect() };
        let doomed = all.into_iter().filter(|database| database.is_doomed());
        doomed.map(|database| format!("{}/{}", database.address, database.namespace)).collect()
    }
}

impl Site {
    /// Number of the cluster that serves it.
    pub const fn cluster(self) -> usize {
        self.cluster
    }
}

impl Pool {
    fn new(databases: Vec<(Database, u64)>) -> Pool {
        let mut end = 0;
        let mut pool = Pool { all: Vec::with_capacity(databases.len()), upto: Vec::with_capacity(databases.len()) };
        for (database, weight) in databases {
            end += weight;
            pool.all.push(database);
            pool.upto.push(end);
        }
        pool
    }

    fn draw(&self, random: &mut Random) -> usize {
        let drawn = random.below(self.upto.last().copied().unwrap_or_default());
        self.upto.partition_point(|&end| end <= drawn)
    }
}

/// `(all, in the lab)` databases, `old` of them on the old storage class. Multiplying by a number without a common
/// factor spreads the old ones, and the ranks in the traffic, over the fleet.
fn databases(
    (all, lab): (usize, usize),
    old: usize,
    name: impl Fn(usize, &str) -> (String, String),
) -> Vec<(Database, u64)> {
    let outside = all - lab;
    let one = |number: usize| {
        let cluster = if number < outside { number % LAB } else { LAB };
        let (address, namespace) = name(number, CLUSTERS.get(cluster).copied().unwrap_or_default());
        let is_old = number < outside && number * 113 % outside < old;
        let storage_class = if is_old { OLD_CLASS } else { NEW_CLASS };
        (Database { address, namespace, cluster, storage_class }, weight(number * 251 % all))
    };
    (0..all).map(one).collect()
}

/// Traffic falls with the square root of the rank: much for a few, little for most.
fn weight(rank: usize) -> u64 {
    (1_000_000.0 / (rank as f64 + 1.0).sqrt()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_1300_databases_230_of_them_doomed_and_25_in_the_lab() {
        let fleet = Fleet::new();
        let redis: Vec<_> = fleet.redis.iter().flat_map(|pool| &pool.all).collect();
        assert_eq!((fleet.mariadb.all.len(), redis.len()), (600, 700));
        assert_eq!((fleet.doomed(true).len(), fleet.doomed(false).len()), (130, 100));
        let lab: Vec<_> = fleet.mariadb.all.iter().chain(redis).filter(|one| one.cluster == LAB).collect();
        assert_eq!(lab.len(), 25);
        assert!(lab.iter().all(|one| !one.is_doomed()));
        for cluster in 0..LAB {
            let doomed = fleet.mariadb.all.iter().filter(|one| one.cluster == cluster && one.is_doomed()).count();
            assert!((5..=20).contains(&doomed), "cluster {cluster} has {doomed}");
        }
    }

    #[test]
    fn every_database_is_drawn_and_some_much_more_often() {
        let fleet = Fleet::new();
        let mut random = Random::new(1);
        let mut calls = vec![0u32; 600];
        for _ in 0..60_000 {
            let site = fleet.site(None, &mut random);
            calls[site.mariadb] += 1;
            let (mariadb, redis) = (fleet.mariadb(site).unwrap(), fleet.redis(site).unwrap());
            assert_eq!((mariadb.cluster, redis.cluster), (site.cluster(), site.cluster()));
        }
        let (least, most) = (calls.iter().min().unwrap(), calls.iter().max().unwrap());
        assert!(*least > 20 && *most > 15 * *least, "{least} {most}");
    }

    #[test]
    fn a_trial_stays_in_the_lab_and_an_instance_can_be_left_out() {
        let mut fleet = Fleet::new();
        let mut random = Random::new(2);
        assert!((0..5_000).all(|_| fleet.site(Some(0), &mut random).mariadb != 0));
        fleet.update(Outage::Lab);
        assert!((0..200).all(|_| fleet.site(None, &mut random).cluster() == LAB));
    }
}
