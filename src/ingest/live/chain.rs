//! Numbers in an order that grows at its end: a doubly linked list over an array, where taking one out anywhere costs as
//! little as adding one.

/// No number.
const NONE: u32 = u32::MAX;

/// The numbers before and behind one.
#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    behind: u32,
}

/// A chain of small numbers, each in it once at most.
#[derive(Debug)]
pub(super) struct Chain {
    links: Vec<Link>,
    head: u32,
    tail: u32,
}

impl Default for Chain {
    fn default() -> Chain {
        Chain { links: Vec::new(), head: NONE, tail: NONE }
    }
}

impl Chain {
    /// The first number.
    pub fn head(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    /// Adds a number that is not in the chain at its end.
    pub fn push(&mut self, at: u32) {
        let index = at as usize;
        if self.links.len() <= index {
            self.links.resize(index + 1, Link { before: NONE, behind: NONE });
        }
        if let Some(link) = self.links.get_mut(index) {
            *link = Link { before: self.tail, behind: NONE };
        }
        match self.links.get_mut(self.tail as usize) {
            Some(tail) => tail.behind = at,
            None => self.head = at,
        }
        self.tail = at;
    }

    /// Takes a number that is in the chain out of it.
    pub fn remove(&mut self, at: u32) {
        let Some(&Link { before, behind }) = self.links.get(at as usize) else { return };
        match self.links.get_mut(before as usize) {
            Some(link) => link.behind = behind,
            None => self.head = behind,
        }
        match self.links.get_mut(behind as usize) {
            Some(link) => link.before = before,
            None => self.tail = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(chain: &Chain) -> Vec<u32> {
        let mut all = Vec::new();
        let mut at = chain.head;
        while at != NONE {
            all.push(at);
            at = chain.links[at as usize].behind;
        }
        all
    }

    #[test]
    fn a_chain_is_what_a_list_is() {
        let mut random = 7u64;
        let (mut chain, mut list) = (Chain::default(), Vec::new());
        for _ in 0..2_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = (random >> 33) as u32 % 20;
            if let Some(at) = list.iter().position(|held| *held == number) {
                list.remove(at);
                chain.remove(number);
            } else {
                list.push(number);
                chain.push(number);
            }
            assert_eq!(all(&chain), list);
            assert_eq!(chain.head(), list.first().copied());
        }
    }
}
