package api

import (
	"context"
	"iter"
	"time"
)

// Backend is what answers: the same questions a Client asks, so a Client is
// itself a Backend, and a node that is not the DC answers a question meant for
// the DC by handing it to a client of the DC. Refusals are *[Error] values;
// any other error is answered with code 1 and its text. Who asked is in the
// context: [PeerFrom].
type Backend interface {
	CIB(ctx context.Context, local bool) (CIBReply, error)
	Propose(ctx context.Context, p Proposal) (ProposeReply, error)
	Status(ctx context.Context) (Status, error)
	Settle(ctx context.Context, timeout time.Duration) (Settled, error)
	Watch(ctx context.Context, after uint64) iter.Seq2[Event, error]

	UpdateAttr(ctx context.Context, u AttrUpdate) error
	Attrs(ctx context.Context, node, name string) ([]Attr, error)
	Resource(ctx context.Context, r ResourceRequest) (ResourceReply, error)
	Force(ctx context.Context, r ForceRequest) (ForceReply, error)
	Agents(ctx context.Context, class, provider string) ([]string, error)
	AgentMeta(ctx context.Context, agent string) ([]byte, error)

	Fence(ctx context.Context, r FenceRequest) (FenceEvent, error)
	ConfirmFence(ctx context.Context, target string) error
	FenceHistory(ctx context.Context, target string) ([]FenceEvent, error)
	ForgetFenceHistory(ctx context.Context, target string) error
	FenceDevices(ctx context.Context, target string) ([]FenceDevice, error)

	Timing(ctx context.Context) (Timing, error)
	History(ctx context.Context) ([]Change, error)
	HistoryShow(ctx context.Context, version string) (CIBReply, error)
	TransitionGraph(ctx context.Context) ([]byte, error)
	Inputs(ctx context.Context) ([]InputFile, error)
	Input(ctx context.Context, name string) ([]byte, error)
}

var _ Backend = (*Client)(nil)
