//! The kinds of findings: words that other programs read.

/// What a finding can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// Spans only on the after side.
    Added,
    /// Spans only on the before side.
    Removed,
    /// Takes more self or edge time.
    Slower,
    /// Takes less self or edge time.
    Faster,
    /// Fails by itself, and did not.
    Failing,
    /// Failed by itself, and does not any more.
    Recovered,
    /// Is called more often.
    CallsUp,
    /// Is called less often.
    CallsDown,
    /// A proxy, gateway or middleware entered the path.
    LayerAdded,
    /// A proxy, gateway or middleware left the path.
    LayerRemoved,
    /// The same work under another name.
    Renamed,
    /// The same work under another caller.
    Moved,
    /// The same work in another service, which took it over.
    Split,
    /// The same work, merged into another service.
    Merged,
    /// Siblings that overlapped now run one after another.
    Serialized,
    /// Siblings that ran one after another now overlap.
    Parallelized,
    /// A link to another span is new.
    LinkAdded,
    /// A link to another span is gone.
    LinkRemoved,
    /// Attribute values changed.
    Attributes,
    /// Trace context is not passed on any more: the callee begins traces of its own.
    ContextLost,
    /// Trace context is passed on again: the callee continues its caller's traces.
    ContextJoined,
    /// Instances that were called are not called any more.
    InstanceGone,
    /// Instances that were not called before.
    InstanceNew,
    /// Instances to which every call fails now.
    InstanceFailing,
    /// Traffic moved between entry points.
    Mix,
    /// Everything moved together.
    Drift,
}

impl FindingKind {
    /// All kinds, in the order in which summaries list them.
    pub const ALL: [FindingKind; 26] = [
        FindingKind::Failing,
        FindingKind::Recovered,
        FindingKind::InstanceFailing,
        FindingKind::InstanceGone,
        FindingKind::InstanceNew,
        FindingKind::ContextLost,
        FindingKind::ContextJoined,
        FindingKind::Added,
        FindingKind::Removed,
        FindingKind::CallsUp,
        FindingKind::CallsDown,
        FindingKind::LayerAdded,
        FindingKind::LayerRemoved,
        FindingKind::Moved,
        FindingKind::Renamed,
        FindingKind::Split,
        FindingKind::Merged,
        FindingKind::Serialized,
        FindingKind::Parallelized,
        FindingKind::Slower,
        FindingKind::Faster,
        FindingKind::LinkAdded,
        FindingKind::LinkRemoved,
        FindingKind::Attributes,
        FindingKind::Mix,
        FindingKind::Drift,
    ];

    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            FindingKind::Added => "added",
            FindingKind::Removed => "removed",
            FindingKind::Slower => "slower",
            FindingKind::Faster => "faster",
            FindingKind::Failing => "failing",
            FindingKind::Recovered => "recovered",
            FindingKind::CallsUp => "calls_up",
            FindingKind::CallsDown => "calls_down",
            FindingKind::LayerAdded => "layer_added",
            FindingKind::LayerRemoved => "layer_removed",
            FindingKind::Renamed => "renamed",
            FindingKind::Moved => "moved",
            FindingKind::Split => "split",
            FindingKind::Merged => "merged",
            FindingKind::Serialized => "serialized",
            FindingKind::Parallelized => "parallelized",
            FindingKind::LinkAdded => "link_added",
            FindingKind::LinkRemoved => "link_removed",
            FindingKind::Attributes => "attributes",
            FindingKind::ContextLost => "context_lost",
            FindingKind::ContextJoined => "context_joined",
            FindingKind::InstanceGone => "instance_gone",
            FindingKind::InstanceNew => "instance_new",
            FindingKind::InstanceFailing => "instance_failing",
            FindingKind::Mix => "mix",
            FindingKind::Drift => "drift",
        }
    }

    /// What this kind becomes when the sides are swapped.
    #[must_use]
    pub const fn mirrored(self) -> FindingKind {
        match self {
            FindingKind::Added => FindingKind::Removed,
            FindingKind::Removed => FindingKind::Added,
            FindingKind::Slower => FindingKind::Faster,
            FindingKind::Faster => FindingKind::Slower,
            FindingKind::Failing => FindingKind::Recovered,
            FindingKind::Recovered => FindingKind::Failing,
            FindingKind::CallsUp => FindingKind::CallsDown,
            FindingKind::CallsDown => FindingKind::CallsUp,
            FindingKind::LayerAdded => FindingKind::LayerRemoved,
            FindingKind::LayerRemoved => FindingKind::LayerAdded,
            FindingKind::Split => FindingKind::Merged,
            FindingKind::Merged => FindingKind::Split,
            FindingKind::Serialized => FindingKind::Parallelized,
            FindingKind::Parallelized => FindingKind::Serialized,
            FindingKind::LinkAdded => FindingKind::LinkRemoved,
            FindingKind::LinkRemoved => FindingKind::LinkAdded,
            FindingKind::ContextLost => FindingKind::ContextJoined,
            FindingKind::ContextJoined => FindingKind::ContextLost,
            FindingKind::InstanceGone => FindingKind::InstanceNew,
            FindingKind::InstanceNew => FindingKind::InstanceGone,
            same => same,
        }
    }
}
