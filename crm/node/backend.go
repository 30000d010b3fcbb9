package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"slices"
	"strings"
	"time"

	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/command"
	"systole/crm/controller"
	"systole/crm/exit"
	"systole/crm/lease"
	"systole/crm/store"
	"systole/crm/transport"
	"systole/resources"
)

// backend answers the API on behalf of the node. What only the DC knows is asked
// of the DC, by its own API.
type backend struct{ n *Node }

var _ api.Backend = backend{}

// patience bounds a request that waits for a DC when its asker set no bound.
const patience = 10 * time.Second

// leader is a client of the API of the node that leads.
type leader struct {
	name, addr string
	*api.Client
}

// dc is the leader to ask; nil when this node is the DC. Its connections are
// kept until another node leads.
func (b backend) dc() (*leader, error) {
	d := b.n.store.DC()
	switch {
	case d.Active:
		return nil, nil
	case d.Leader == "" || d.Leader == b.n.cfg.Name:
		return nil, &api.Error{Code: api.CodeNoDC, Message: errNoDC.Error()}
	}
	known := b.n.leader.Load()
	if known != nil && known.name == d.Leader && known.addr == d.Addr {
		return known, nil
	}
	c := &leader{d.Leader, d.Addr, api.NewClientDialer("DC "+d.Leader, func(ctx context.Context) (net.Conn, error) {
		return b.n.cfg.Fabric.Dial(ctx, d.Addr, d.Leader, transport.ProtoAPI)
	})}
	if old := b.n.leader.Swap(c); old != nil {
		old.Close()
	}
	return c, nil
}

// ask answers here when this node is the DC, else passes the question on, once.
func ask[T any](ctx context.Context, b backend, here func() (T, error), there func(context.Context, *api.Client) (T, error)) (T, error) {
	var none T
	dc, err := b.dc()
	switch {
	case err != nil:
		return none, err
	case dc == nil:
		return here()
	case api.PeerFrom(ctx).Node != "": // passed on already: the DC has changed meanwhile
		return none, &api.Error{Code: api.CodeNoDC, Message: errNoDC.Error()}
	}
	ctx, cancel := b.n.whileLeading(ctx, dc.name)
	defer cancel()
	return there(ctx, dc.Client)
}

// CIB answers a read that must be fresh from the DC's copy: to wait until this
// node's own has caught up takes longer than to fetch it.
func (b backend) CIB(ctx context.Context, local bool) (api.CIBReply, error) {
	if local {
		s := b.n.caughtUp(ctx)
		s.CIB = b.n.asSeen(s.CIB)
		return cibReply(s, false), nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		r, err := ask(ctx, b, func() (api.CIBReply, error) {
			s, err := b.n.store.Read(ctx)
			if err != nil {
				return api.CIBReply{}, err
			}
			return cibReply(s, true), nil
		}, func(ctx context.Context, dc *api.Client) (api.CIBReply, error) { return dc.CIB(ctx, false) })
		if err == nil {
			return r, nil
		}
		if api.PeerFrom(ctx).Node != "" || !sleep(ctx, proposeRetry) {
			return r, &api.Error{Code: api.CodeQuorum, Message: "read the CIB: " + err.Error() + lostQuorum + "; this node's own copy is read by crm status and cibadmin -l -Q"}
		}
	}
}

func cibReply(s store.Snapshot, linearizable bool) api.CIBReply {
	return api.CIBReply{XML: s.CIB.String(), Version: s.CIB.Version().String(), Index: s.Index, Linearizable: linearizable}
}

// readIndex is the index that a read which begins now must see.
func (n *Node) readIndex(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		index, err := n.store.ReadIndex(ctx)
		if away, ok := errors.AsType[*store.NotLeaderError](err); ok {
			if err = errNoDC; away.Leader != "" && away.Leader != n.cfg.Name {
				err = n.callLeader(ctx, away.Leader, "/rpc/index", struct{}{}, &index)
			}
		}
		if err == nil || !sleep(ctx, proposeRetry) {
			return index, err
		}
	}
}

func (b backend) Propose(ctx context.Context, p api.Proposal) (api.ProposeReply, error) {
	e, err := b.change(ctx, p)
	if err != nil {
		return api.ProposeReply{}, err
	}
	if p.DryRun {
		_, reply := command.Apply(b.n.CIB(), e)
		return replyOf(proposal{Reply: reply}), nil
	}
	out, err := b.n.write(ctx, e)
	if err != nil {
		return api.ProposeReply{}, err
	}
	return replyOf(out), nil
}

// change makes the log entry of a proposal.
func (b backend) change(ctx context.Context, p api.Proposal) (command.Entry, error) {
	e := b.entry(ctx, command.KindCIB, p.Origin)
	e.Change = &command.Change{}
	for _, o := range p.Operations {
		op := command.Op{Kind: cib.OpKind(o.Op), Section: o.Section, XPath: o.XPath, Data: o.XML, AllowCreate: o.AllowCreate}
		if o.All && o.Op == api.OpDelete {
			op.Kind = cib.OpDeleteAll
		}
		if op.Kind == cib.OpReplace && o.XPath == "" {
			op.Data = b.n.withQuorum(o.XML)
		}
		e.Change.Ops = append(e.Change.Ops, op)
	}
	if p.ExpectVersion != "" {
		v, err := parseVersion(p.ExpectVersion)
		if err != nil {
			return e, err
		}
		e.Change.Expected = &v
	}
	return e, nil
}

// parseVersion reads "A.E.U"; "A.E" expects any status.
func parseVersion(s string) (cib.Version, error) {
	v := cib.Version{NumUpdates: cib.AnyNumUpdates}
	n := strings.Count(s, ".")
	var err error
	if n == 2 {
		_, err = fmt.Sscanf(s, "%d.%d.%d", &v.AdminEpoch, &v.Epoch, &v.NumUpdates)
	} else {
		_, err = fmt.Sscanf(s, "%d.%d", &v.AdminEpoch, &v.Epoch)
	}
	if err != nil {
		return v, &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("version %q is not of the form admin_epoch.epoch.num_updates", s)}
	}
	return v, nil
}

// entry stamps an entry with who asked.
func (b backend) entry(ctx context.Context, k command.Kind, client string) command.Entry {
	e := b.n.entry(k)
	if peer := api.PeerFrom(ctx); peer.User != "" {
		e.User = peer.User
	}
	if client != "" {
		e.Client = client
	}
	return e
}

// write commits a user's entry: it waits for a DC, but never asks twice when
// the first may have been committed.
func (n *Node) write(ctx context.Context, e command.Entry) (proposal, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		p, err := n.propose(ctx, e)
		switch {
		case err == nil:
			return p, nil
		case errors.Is(err, store.ErrMaybe):
			return p, &api.Error{Code: api.CodeTemporary, Message: "the change may or may not have been made; look before you repeat it: " + err.Error()}
		case !errors.Is(err, errNoDC):
			return p, failed(err)
		}
		if !sleep(ctx, proposeRetry) {
			return p, &api.Error{Code: api.CodeQuorum, Message: errNoDC.Error() + lostQuorum}
		}
	}
}

// lostQuorum is the remedy where a majority was waited for in vain.
const lostQuorum = "; bring back a majority of the voters (crm cluster status lists them), or, if they are lost for ever, see crm cluster recover"

func replyOf(p proposal) api.ProposeReply {
	return api.ProposeReply{Code: int(p.Reply.Code), Message: p.Reply.Msg, Version: p.Reply.Version.String(), Index: p.Index}
}

func (b backend) Status(ctx context.Context) (api.Status, error) {
	n := b.n
	s := n.store.Snapshot()
	d := n.store.DC()
	out := api.Status{
		Cluster: n.cfg.Cluster, Node: n.cfg.Name, NodeID: nodeID(s.CIB, n.cfg.Name), Version: n.cfg.Version,
		Index: s.Index, Uptime: api.FromDuration(time.Since(n.started)),
		LeaseRemaining: api.FromDuration(n.Remaining()),
		RestartGrant:   api.FromDuration(recordOf(s.CIB, n.cfg.Name).Restart),
		Warnings:       n.warnings(ctx),
	}
	if dc, term := n.right.dc(); n.Remaining() > 0 || d.Active {
		out.DC, out.Term, out.Quorum = dc, term, true
	}
	servers := n.store.Servers()
	heard := n.heard.Load()
	var gossip map[string]string
	if n.cfg.Gossip != nil {
		gossip = n.cfg.Gossip()
	}
	addresses := n.addresses()
	addresses[n.cfg.Name] = n.cfg.Fabric.Addr()
	seen := n.asSeen(s.CIB)
	for e := range s.CIB.Section("nodes").Each("node") {
		name := e.Get("uname")
		ns := api.NodeStatus{Name: name, ID: e.ID(), Address: addresses[name], Witness: isWitness(e), LastBeat: -1, Gossip: gossip[name]}
		ns.Voter = slices.ContainsFunc(servers, func(v store.Server) bool { return v.Node == name && v.Voter })
		for st := range seen.Status().Each("node_state") {
			if st.ID() == e.ID() {
				ns.Online = st.Get("crmd") == "online"
			}
		}
		if heard != nil {
			if h, ok := (*heard)[name]; ok {
				ns.LastBeat = api.FromDuration(h.silent)
				ns.Stalled = api.FromDuration(n.stalled(name))
			}
		}
		out.Nodes = append(out.Nodes, ns)
	}
	slices.SortFunc(out.Nodes, func(a, b api.NodeStatus) int { return strings.Compare(a.Name, b.Name) })
	if d.Active {
		out.Transition = transitionStatus(n.Controller())
		return out, nil
	}
	out.Transition.State = api.TransitionNoDC
	// A quick question: a DC that does not answer must not hold up the rest.
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	there, err := ask(ctx, b, func() (api.Status, error) { return out, nil },
		func(ctx context.Context, dc *api.Client) (api.Status, error) { return dc.Status(ctx) })
	if err == nil {
		out.Transition, out.Nodes = there.Transition, there.Nodes
	}
	return out, nil
}

func transitionStatus(s controller.Snapshot) api.TransitionStatus {
	out := api.TransitionStatus{ID: s.Transition, Trigger: s.Trigger, Pending: s.Pending, Waiting: s.Waiting}
	switch s.State {
	case controller.Off:
		out.State = api.TransitionNoDC
	case controller.Waiting:
		out.State = api.TransitionWaiting
	case controller.Idle:
		out.State = api.TransitionIdle
	default:
		out.State = api.TransitionRunning
	}
	if s.Transition > 0 {
		out.Input = inputName(s)
	}
	return out
}

func inputName(s controller.Snapshot) string { return fmt.Sprintf("input-%d-%d", s.Term, s.Transition) }

// warnings are sentences about what is wrong with this cluster as it is.
func (n *Node) warnings(ctx context.Context) []string {
	var out []string
	if n.cfg.Warnings != nil && n.store.Snapshot().Index > 0 {
		out = n.cfg.Warnings(ctx)
	}
	for _, v := range lease.Check(n.cfg.Timing, n.measured()) {
		out = append(out, "timing: "+v.String())
	}
	return append(out, n.stallWarnings()...)
}

func (b backend) Settle(ctx context.Context, timeout time.Duration) (api.Settled, error) {
	if timeout <= 0 {
		timeout = time.Hour
	}
	index, err := b.n.readIndex(ctx)
	if err != nil {
		return api.Settled{}, &api.Error{Code: api.CodeQuorum, Message: err.Error()}
	}
	until := time.Now().Add(timeout)
	giveUp := time.Now().Add(patience)
	for {
		asked := time.Now()
		settled, err := ask(ctx, b, func() (api.Settled, error) { return b.n.settled(ctx, index, time.Until(until)) },
			func(ctx context.Context, dc *api.Client) (api.Settled, error) {
				return dc.Settle(ctx, time.Until(until))
			})
		if err == nil {
			b.n.tell(settled.Index)
		}
		if time.Since(asked) > time.Second { // there was a DC; the next one has the same to do
			giveUp = time.Now().Add(patience)
		}
		if err == nil || api.PeerFrom(ctx).Node != "" || time.Now().After(giveUp) || !sleep(ctx, proposeRetry) {
			return settled, err
		}
	}
}

// settled waits on the DC until there is nothing to do for the index, or it is DC no more.
func (n *Node) settled(ctx context.Context, index uint64, timeout time.Duration) (api.Settled, error) {
	ctx, leading := n.whileLeading(ctx, n.cfg.Name)
	defer leading()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		next := n.news.wait()
		s := n.Controller()
		if s.Settled() && s.Index >= index {
			return api.Settled{Settled: true, Index: s.Index}, nil
		}
		select {
		case <-next:
		case <-timer.C:
			return api.Settled{Index: s.Index, Pending: append(s.Pending, s.Waiting...)}, nil
		case <-ctx.Done():
			return api.Settled{}, context.Cause(ctx)
		}
	}
}

func (b backend) Watch(ctx context.Context, after uint64) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		for {
			next := b.n.news.wait()
			s := b.n.store.Snapshot()
			dc, _ := b.n.right.dc()
			e := api.Event{Index: s.Index, Version: s.CIB.Version().String(), DC: dc, Quorum: b.n.Remaining() > 0}
			if b.n.store.DC().Active {
				e.Transition = string(transitionStatus(b.n.Controller()).State)
			}
			if s.Index > after && !yield(e, nil) {
				return
			}
			select {
			case <-next:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Agents implements api.Backend: the classes, or a class's types, those of all OCF providers as provider:type.
func (b backend) Agents(_ context.Context, class, provider string) ([]string, error) {
	if b.n.cfg.Catalog == nil {
		return nil, nil
	}
	switch {
	case class == "":
		return b.n.cfg.Catalog.Classes(), nil
	case class != string(resources.ClassOCF) || provider != "":
		return b.n.cfg.Catalog.List(class, provider)
	}
	var out []string
	for _, p := range b.n.cfg.Catalog.Providers("") {
		types, err := b.n.cfg.Catalog.List(class, p)
		if err != nil {
			return nil, err
		}
		for _, t := range types {
			out = append(out, p+":"+t)
		}
	}
	return out, nil
}

func (b backend) AgentMeta(ctx context.Context, agent string) ([]byte, error) {
	id, err := agentID(agent)
	if err != nil {
		return nil, err
	}
	if b.n.cfg.Catalog == nil {
		return nil, &api.Error{Code: api.CodeNoSuch, Message: "this node knows no agents"}
	}
	meta, err := b.n.cfg.Catalog.MetaData(ctx, id)
	if err != nil {
		return nil, &api.Error{Code: api.CodeNoSuch, Message: err.Error()}
	}
	return meta, nil
}

// agentID reads "ocf:heartbeat:Dummy" or "systemd:nginx".
func agentID(s string) (resources.AgentID, error) {
	parts := strings.SplitN(s, ":", 3)
	switch {
	case len(parts) == 3 && parts[0] == string(resources.ClassOCF):
		return resources.AgentID{Class: resources.ClassOCF, Provider: parts[1], Type: parts[2]}, nil
	case len(parts) >= 2 && parts[0] != string(resources.ClassOCF):
		return resources.AgentID{Class: resources.Class(parts[0]), Type: strings.Join(parts[1:], ":")}, nil
	}
	return resources.AgentID{}, &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("agent %q is not of the form ocf:PROVIDER:TYPE or CLASS:TYPE", s)}
}

func (b backend) History(context.Context) ([]api.Change, error) {
	var out []api.Change
	for _, r := range b.n.store.History() {
		out = append(out, api.Change{Version: r.Version.String(), Index: r.Index, Time: r.Time, User: r.User,
			Origin: strings.TrimSpace(r.Client + " on " + r.Origin), Comment: r.Summary})
	}
	slices.Reverse(out)
	return out, nil
}

func (b backend) HistoryShow(_ context.Context, version string) (api.CIBReply, error) {
	r, e, ok := b.n.store.Revision(version)
	if !ok {
		return api.CIBReply{}, &api.Error{Code: api.CodeNoSuch, Message: fmt.Sprintf("configuration %s is not in the history (any more)", version)}
	}
	return api.CIBReply{XML: e.String(), Version: r.Version.String(), Index: r.Index, Linearizable: true}, nil
}

func (b backend) Inputs(context.Context) ([]api.InputFile, error) {
	if b.n.cfg.Inputs == nil {
		return nil, nil
	}
	return b.n.cfg.Inputs.List()
}

func (b backend) Input(_ context.Context, name string) ([]byte, error) {
	if b.n.cfg.Inputs == nil {
		return nil, &api.Error{Code: api.CodeNoSuch, Message: "this node keeps no scheduler inputs"}
	}
	return b.n.cfg.Inputs.Load(name)
}

// failed makes an API error of a refusal by the CIB.
func failed(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e
	}
	return &api.Error{Code: int(exit.Of(err)), Message: err.Error()}
}
