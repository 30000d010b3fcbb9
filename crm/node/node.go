// Package node is one complete cluster node: it puts the parts together and
// drives them. It opens nothing by itself: network, clocks, agents, files and
// sockets are handed in, so that integration/sim runs whole nodes in virtual time.
//
// Goroutines and what each owns (all end before Run returns):
//
//	heart       the beats, the grants, the detector of lost nodes; never blocks. Its lock is
//	            also taken by the fabric's reader and by its alarm
//	director    the controller (crm/controller), while this node is DC
//	proposer    the order in which the director's proposals are committed
//	reporter    results on their way into the log (the executor's sink)
//	keeper      what happens when the node's lease ends
//	servers     RPC between nodes, the API, joining
//	store, executor, cluster, membership, attrs: their own
//
// The right to run (crm/lease.NodeLease) is the one value shared between them;
// [right] guards it with a lock that is never held across anything that waits.
// DESIGN.md has the flows and what happens when each part fails.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/controller"
	"systole/crm/fencing"
	"systole/crm/lease"
	"systole/crm/store"
	"systole/crm/transport"
	"systole/resources"
	"systole/resources/executor"
)

// Config is everything a node gets from its caller. Fields without a remark are required.
type Config struct {
	// Name is the node's name in the cluster.
	Name string
	// Cluster is the cluster's name, Version the program's; for display.
	Cluster, Version string
	// Witness votes and runs nothing.
	Witness bool

	Fabric transport.Fabric
	// Clock counts leases; everything else uses package time.
	Clock  lease.Clock
	Timing lease.Timing
	// Alarm rings for the beats; nil takes a timer.
	Alarm Alarm
	// Planner is the scheduler.
	Planner controller.Planner
	Log     *slog.Logger

	// Store says where the log is kept. Node, Fabric, Timing, Clock and Log are
	// filled in by [New].
	Store store.Config
	// Peers gives names and addresses to find the others by where raft's
	// configuration does not have them yet; may be nil.
	Peers func() map[string]string
	// Gossip gives memberlist's opinion of each node, Warnings further sentences, both
	// for status; nil for none.
	Gossip   func() map[string]string
	Warnings func(context.Context) []string
	// Voters is how many nodes vote; 0 means store.DefaultVoters.
	Voters int

	// Lookup finds agents, as executor.Config has it.
	Lookup func(resources.AgentID) (resources.Agent, error)
	// Harmless says of an agent that what it runs is silenced by Guard or may run
	// on two nodes at once; the stops of all others make the proof of this node's
	// loss later. nil means that none is harmless.
	Harmless func(resources.AgentID) bool
	// Catalog lists agents and their metadata for the API; nil knows none.
	Catalog Catalog
	// Fencer runs fence devices; nil means this node can run none.
	Fencer Fencer
	// Guard silences addresses when the lease ends, whatever became of this
	// process; nil means there is none.
	Guard Guard
	// Suicide ends this machine at once (no-quorum-policy suicide); nil stops
	// all resources instead.
	Suicide func(reason string)

	// State keeps what the executor runs across a restart of the daemon, Right
	// the lease; both must be empty after a boot. nil keeps nothing.
	State executor.Store
	Right Keeper
	// Inputs keeps scheduler inputs; nil keeps none.
	Inputs Inputs

	// Local is the local socket of the API; nil for none.
	Local   net.Listener
	Access  api.Access
	Metrics http.Handler
	// Realtime says how this process is scheduled, for crm cluster timing.
	Realtime string

	// Stop asks the caller to cancel Run's context, because the cluster asked for
	// it (crm cluster leave, node shutdown); required.
	Stop func(cause string)

	rules rules // tests switch single rules off
}

// Guard is the kernel's lease of addresses. Renew sets how long they may go on
// answering from now, [Forever] without end; it must return at once. It may leave what is
// little longer to the next call; an end that stays is said once more.
type Guard interface {
	Renew(remaining time.Duration)
}

// Forever is for addresses that the end of the lease is not to silence: this node has
// promised to ignore it, and nobody takes its silence for proof.
const Forever = 365 * 24 * time.Hour

// Keeper keeps the node's lease in a place that survives the daemon but not a boot.
type Keeper interface {
	// Load returns what was kept last, false after a boot.
	Load() (Kept, bool)
	// Save is called for every grant and policy: it must be cheap and not wait for a disk.
	Save(Kept) error
}

// Kept is what a run of the daemon leaves to the next one of the same boot.
type Kept struct {
	Incarnation uint64
	// End of the lease on Config.Clock.
	End time.Duration
	// Policy to act on then.
	Policy lease.Policy
	// Index of the CIB that it was read from. One that is older says nothing of it.
	Index uint64
}

// Inputs keeps scheduler inputs for replay.
type Inputs interface {
	Save(name string, xml []byte) error
	List() ([]api.InputFile, error)
	Load(name string) ([]byte, error)
}

// Catalog is what agents are installed here.
type Catalog interface {
	Classes() []string
	// Providers are those that have the type, or all when typ is "".
	Providers(typ string) []string
	List(class, provider string) ([]string, error)
	MetaData(ctx context.Context, id resources.AgentID) ([]byte, error)
}

// Fencer uses one fence device once, on this node. StatusNotInstalled says that
// its agent is not here, so that another node is tried.
type Fencer interface {
	Fence(ctx context.Context, c fencing.Call) resources.Result
}

// Administration is what crm/cluster answers: on the API, to other nodes below
// Prefix, and to nodes that join.
type Administration struct {
	Admin, Peers, Joining http.Handler
	Prefix                string
}

// Node is one node. Make it with [New]; [Node.Run] is its life.
type Node struct {
	cfg      Config
	admin    Administration
	log      *slog.Logger
	store    *store.Store
	exec     *executor.Executor
	right    *right
	director *director
	rpc      *http.Client
	inputs   *queue[savedInput]
	fenced   fencing.History
	dead     *queue[fencedRun]
	attrs    attributes
	meter    meter
	manuals  *manuals

	incarnation uint64
	started     time.Time

	// Level facts, published by their owners for the API and for each other.
	snapshot atomic.Pointer[controller.Snapshot] // the director's
	heard    atomic.Pointer[map[string]hearing]  // of each node; nil while not DC
	stalls   atomic.Pointer[map[string]stall]    // nodes behind the log; old while not DC
	restart  atomic.Int64                        // the restart grant asked for, nanoseconds
	leaving  atomic.Bool                         // the last beats say good-bye
	draining atomic.Bool                         // this node itself asked to leave

	reserved atomic.Int64           // give-up bound that an order waits for, nanoseconds
	told     atomic.Uint64          // highest index this node's users know to be committed
	leader   atomic.Pointer[leader] // the API of who leads

	hurry    chan struct{} // heart: a promise changed
	kicked   chan struct{} // keeper: the lease moved
	ordered  chan struct{} // closed when the DC asks this node to leave
	leaveNow sync.Once
	news     broadcast // something a watcher may want to know
}

// New puts a node together and opens its store; nothing happens before Run.
func New(cfg Config) (*Node, error) {
	sc := cfg.Store
	sc.Node, sc.Fabric, sc.Timing, sc.Clock, sc.Log = cfg.Name, cfg.Fabric, cfg.Timing, cfg.Clock, cfg.Log
	st, err := store.Open(sc)
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, log: cfg.Log, store: st, started: time.Now(), inputs: newQueue[savedInput](), dead: newQueue[fencedRun](), manuals: newManuals(),
		hurry: make(chan struct{}, 1), kicked: make(chan struct{}, 1), ordered: make(chan struct{}),
	}
	n.attrs.due = make(chan struct{}, 1)
	n.right = n.newRight()
	n.director = newDirector(n)
	n.snapshot.Store(&controller.Snapshot{})
	n.rpc = &http.Client{Transport: transport.RoundTripper(cfg.Fabric, transport.ProtoRPC, n.resolve)}
	n.exec = executor.New(executor.Config{
		Node: cfg.Name, Incarnation: incarnationText(n.incarnation), Lookup: cfg.Lookup,
		Sink: n.report, Lease: n.right, State: cfg.State, Log: cfg.Log,
	})
	return n, nil
}

// newRight starts without a lease, or with the rest of the one an earlier run of
// the daemon held since the boot.
func (n *Node) newRight() *right {
	c := n.store.Snapshot().CIB
	kept, ok := Kept{}, false
	if n.cfg.Right != nil {
		kept, ok = n.cfg.Right.Load()
	}
	n.incarnation = nextIncarnation(kept, ok, recordedIncarnation(c, n.cfg.Name), n.started)
	record := lease.Record{Policy: endPolicy(c), GiveUp: n.cfg.Timing.GiveUp}
	r := &right{clock: n.cfg.Clock, guard: n.cfg.Guard, keep: n.cfg.Right, moved: n.kick, incarnation: n.incarnation,
		lease: lease.NewNodeLease(n.cfg.Timing, n.cfg.Name, n.incarnation, record)}
	if ok {
		r.lease.Adopt(kept.End, kept.Policy)
		r.index, r.promised, r.policyIndex = kept.Index, kept.Policy, kept.Index
	}
	return r
}

// Mount adds the cluster's administration, which needs the node itself (see
// [Node.Host]). Call it before Run.
func (n *Node) Mount(a Administration) { n.admin = a }

// Run serves until ctx is done or the store fails. Ending it stops no resource:
// see [Node.Leave] and [Node.Restart] for the good ways to end.
func (n *Node) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	part := func(name string, f func(context.Context) error) {
		wait.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	never := func(f func(context.Context)) func(context.Context) error {
		return func(ctx context.Context) error { f(ctx); return nil }
	}
	h := newHeart(n)
	k := &keeper{log: n.log, clock: n.cfg.Clock, right: n.right, exec: n.exec, kicked: n.kicked, die: n.cfg.Suicide}
	part("heart", never(h.run)) // first: a restarted node must be heard before raft is up
	part("store", n.store.Run)
	part("executor", n.exec.Run)
	part("keeper", never(k.run))
	part("director", never(n.director.run))
	part("inputs", never(n.saveInputs))
	part("attributes", never(n.writeAttrs))
	part("manuals", never(n.readManuals))
	part("office", never(h.markOffice))
	part("voters", never(n.keepVoters))
	part("witness", never(n.markWitness))
	for _, s := range n.servers() {
		part("server "+s.name, s.run)
	}
	<-ctx.Done()
	wait.Wait()
	n.rpc.CloseIdleConnections()
	if l := n.leader.Load(); l != nil {
		l.Close()
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// Store is the node's replica of the CIB, for the caller's own use (cluster
// administration, tests).
func (n *Node) Store() *store.Store { return n.store }

// Executor is the node's LRM, for tests and the simulation's checks.
func (n *Node) Executor() *executor.Executor { return n.exec }

// CIB is the node's own copy.
func (n *Node) CIB() *cib.CIB { return n.store.Snapshot().CIB }

// Controller tells what this node does as DC; Off when it is not.
func (n *Node) Controller() controller.Snapshot { return *n.snapshot.Load() }

// Remaining is how long this node may still run resources.
func (n *Node) Remaining() time.Duration { return n.right.Remaining() }

// Ignoring says that this node has promised to go on whatever becomes of its lease.
func (n *Node) Ignoring() bool { return n.right.policy() == lease.PolicyIgnore }

// nudge fills a channel of one without waiting.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// kick tells the keeper that the lease has moved.
func (n *Node) kick() { nudge(n.kicked) }

// changed tells watchers that there may be news.
func (n *Node) changed() { n.news.tell() }
