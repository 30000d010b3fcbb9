package tools

import (
	"context"
	"strings"

	"systole/crm/api"
	"systole/crm/exit"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
)

// CorosyncQuorumtool is corosync-quorumtool, told from raft's membership: one
// vote for each voter, quorum is the majority.
func CorosyncQuorumtool(ctx context.Context, stdio *tool.IO, args []string) int {
	return corosync(ctx, stdio, "corosync-quorumtool", func(st api.Status) {
		if strings.Contains(strings.Join(args, " "), "-l") {
			quorumMembers(stdio, st)
			return
		}
		quorumStatus(stdio, st)
	})
}

// CorosyncCfgtool is corosync-cfgtool -s: the links of this node.
func CorosyncCfgtool(ctx context.Context, stdio *tool.IO, args []string) int {
	return corosync(ctx, stdio, "corosync-cfgtool", func(st api.Status) {
		stdio.Printf("Local node ID %d, transport systole\nLINK ID 0 systole\n", number(st, st.Node))
		for _, n := range st.Nodes {
			if n.Name == st.Node {
				host, _, _ := strings.Cut(n.Address, ":")
				stdio.Printf("\taddr\t= %s\n\tstatus:\n", host)
			}
		}
		for _, n := range st.Nodes {
			state := "disconnected"
			switch {
			case n.Name == st.Node:
				state = "localhost"
			case n.Online:
				state = "connected"
			}
			stdio.Printf("\t\tnodeid: %10d:\t%s\n", number(st, n.Name), state)
		}
	})
}

// corosync runs one of the two on the live cluster.
func corosync(ctx context.Context, stdio *tool.IO, name string, print func(api.Status)) int {
	p := &program{IO: stdio, ctx: ctx, src: source.Open(stdio.Getenv)}
	st, err := p.status()
	if err != nil {
		return p.fail(name, exit.Errorf(exit.Error, "Cannot initialize QUORUM service: %w", err))
	}
	print(st)
	return 0
}

// number is a node's small number: its place among the names, from 1.
func number(st api.Status, name string) int {
	for i, n := range st.Nodes {
		if n.Name == name {
			return i + 1
		}
	}
	return 0
}

// votes counts the voters: all, and those online.
func votes(st api.Status) (all, present int) {
	for _, n := range st.Nodes {
		if n.Voter {
			all++
			if n.Online {
				present++
			}
		}
	}
	return all, present
}

func quorumStatus(stdio *tool.IO, st api.Status) {
	all, present := votes(st)
	quorate := "No"
	if st.Quorum {
		quorate = "Yes"
	}
	stdio.Printf("Quorum information\n------------------\nQuorum provider:  systole\nNodes:            %d\nNode ID:          %d\nRing ID:          %d.%x\nQuorate:          %s\n\n", len(st.Nodes), number(st, st.Node), number(st, st.DC), st.Term, quorate)
	flags := ""
	if st.Quorum {
		flags = "Quorate"
	}
	stdio.Printf("Votequorum information\n----------------------\nExpected votes:   %d\nHighest expected: %d\nTotal votes:      %d\nQuorum:           %d\nFlags:            %s\n\n", all, all, present, all/2+1, flags)
	quorumMembers(stdio, st)
}

func quorumMembers(stdio *tool.IO, st api.Status) {
	stdio.Printf("Membership information\n----------------------\n    Nodeid      Votes    Qdevice Name\n")
	for _, n := range st.Nodes {
		if !n.Online {
			continue
		}
		vote, local := 0, ""
		if n.Voter {
			vote = 1
		}
		if n.Name == st.Node {
			local = " (local)"
		}
		stdio.Printf("%10d %10d         NR %s%s\n", number(st, n.Name), vote, n.Name, local)
	}
}
