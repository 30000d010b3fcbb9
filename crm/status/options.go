package status

import "time"

// NoQuorumPolicy is what to do with resources without quorum.
type NoQuorumPolicy uint8

// The policies.
const (
	NoQuorumStop NoQuorumPolicy = iota
	NoQuorumFreeze
	NoQuorumIgnore
	NoQuorumDemote
	NoQuorumFence
)

// Options are the effective cluster options.
type Options struct {
	// All holds every property as configured, current names only.
	All map[string]string

	NoQuorum             NoQuorumPolicy
	Symmetric            bool
	Fencing              bool // stonith-enabled / fencing-enabled
	FenceAction          string
	FenceTimeoutMillis   int64
	StartupFencing       bool
	ConcurrentFencing    bool
	HaveWatchdog         bool
	PriorityFencingDelay time.Duration
	NodePendingTimeout   time.Duration
	Maintenance          bool
	StopAll              bool
	StopOrphans          bool // stop-removed-resources
	CancelOrphanActions  bool
	RemoveAfterStop      bool
	StartFailureFatal    bool
	ProbesEnabled        bool
	ShutdownLock         bool
	ShutdownLockLimit    time.Duration
	PlacementStrategy    string
	NodeHealthStrategy   string
	ClusterDelayMillis   int64
	BatchLimit           int
	MigrationLimit       int
	RecheckInterval      time.Duration
}
