// Package api is how the tools talk to a running daemon: HTTP with JSON bodies
// over the local unix socket, and the same over the node port for other nodes.
//
// It has three parts: the wire types (this is stable interface, shown by
// "-o json"), a Client, and a Handler that answers requests from a Backend.
// The Handler owns no state and starts no goroutine of its own; crm/node is the
// Backend. Who may ask is decided once, in Handler, from the credentials the
// kernel gives for the socket's peer, before a body is read.
package api

// Socket is where the daemon listens unless configured otherwise; the
// environment variable SocketEnv and the option --socket name another.
const (
	Socket    = "/run/systole/api.sock"
	SocketEnv = "SYSTOLE_SOCKET"
)

// Paths of the requests. Anything below PathCluster is answered by crm/cluster.
const (
	PathCIB            = "/v1/cib"           // GET: CIBReply. POST Proposal: ProposeReply
	PathStatus         = "/v1/status"        // GET: Status
	PathWatch          = "/v1/watch"         // GET ?after=INDEX: JSON lines of Event
	PathSettle         = "/v1/settle"        // GET ?timeout=DURATION: Settled
	PathAttrs          = "/v1/attrs"         // GET ?node=&name=: []Attr. POST AttrUpdate
	PathResource       = "/v1/resource"      // POST ResourceRequest: ResourceReply
	PathForce          = "/v1/force"         // POST ForceRequest: ForceReply
	PathAgents         = "/v1/agents"        // GET ?class=&provider=: []string of agent types
	PathAgentMeta      = "/v1/agents/meta"   // GET ?agent=ocf:heartbeat:Dummy: the metadata XML
	PathFence          = "/v1/fence"         // POST FenceRequest: FenceEvent
	PathFenceConfirm   = "/v1/fence/confirm" // POST FenceRequest: nothing
	PathFenceHistory   = "/v1/fence/history" // GET ?target=: []FenceEvent. DELETE ?target=
	PathFenceDevices   = "/v1/fence/devices" // GET ?target=: []FenceDevice
	PathTiming         = "/v1/timing"        // GET: Timing
	PathHistory        = "/v1/history"       // GET: []Change
	PathHistoryVersion = "/v1/history/show"  // GET ?version=: CIBReply
	PathTransition     = "/v1/transition"    // GET: the running or last graph as pacemaker XML
	PathInputs         = "/v1/inputs"        // GET: []InputFile; ?name=: the file
	PathCluster        = "/v1/cluster/"      // crm/cluster: token, join, leave, remove, keys, backup
	PathMetrics        = "/metrics"          // GET: Prometheus text
)
