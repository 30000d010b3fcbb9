package metrics

import (
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"time"
)

// The names of ha_cluster_exporter's corosync collector, filled from raft: one
// vote for each voter, a majority is quorum.
var (
	quorate     = gauge("ha_cluster_corosync_quorate", "Whether this node is part of a cluster with quorum.")
	quorumVotes = gauge("ha_cluster_corosync_quorum_votes", "Votes: expected, present, and needed for quorum.", "type")
	memberVotes = gauge("ha_cluster_corosync_member_votes", "Votes of each node.", "node_id", "node", "local")
	rings       = gauge("ha_cluster_corosync_rings", "The address of each node, 1 if it answers.", "ring_id", "node_id", "number", "address")
	ringErrors  = gauge("ha_cluster_corosync_ring_errors", "How many addresses do not answer.")

	scrapeSeconds = gauge("ha_cluster_scrape_duration_seconds", "How long a collector took.", "collector")
	scrapeSuccess = gauge("ha_cluster_scrape_success", "Whether a collector worked.", "collector")
)

// Systole's own.
var (
	info           = gauge("systole_info", "The answering node; always 1.", "cluster", "node", "version")
	isDC           = gauge("systole_is_dc", "Whether the answering node is the DC.")
	leaseRemaining = gauge("systole_lease_remaining_seconds", "How long the answering node may still run resources.")
	term           = gauge("systole_term", "The present term; every change of DC raises it.")
	commitIndex    = gauge("systole_commit_index", "The newest committed entry of the log known here.")
	appliedIndex   = gauge("systole_applied_index", "The newest entry of the log in this node's CIB.")
	fsync          = gauge("systole_fsync_seconds", "The 99th percentile of the last writes of the log.")
	stall          = gauge("systole_write_stall_seconds", "The age of the log write in flight, 0 if there is none.")
	datagrams      = counter("systole_datagrams_total", "Datagrams since the start: sent, received, dropped from a full queue, refused as not sealed by a key of ours.", "result")
	handshakes     = counter("systole_failed_handshakes_total", "Connections refused since the start.")
	certificate    = gauge("systole_certificate_end_timestamp_seconds", "When the certificate of a node runs out, in seconds since 1970.", "node")
	beatAge        = gauge("systole_beat_age_seconds", "How long ago the DC heard each node; only on the DC.", "node")
)

func own(out *series, s Source) {
	out.add(info, 1, s.Cluster, s.Node, s.Version)
	out.add(isDC, truth(s.DC != "" && s.DC == s.Node))
	out.add(leaseRemaining, s.Lease.Seconds())
	out.add(term, float64(s.Term))
	out.add(commitIndex, float64(s.Commit))
	out.add(appliedIndex, float64(s.Applied))
	out.add(fsync, s.FsyncP99.Seconds())
	out.add(stall, s.Stalled.Seconds())
	out.add(datagrams, float64(s.Datagrams.Sent), "sent")
	out.add(datagrams, float64(s.Datagrams.Received), "received")
	out.add(datagrams, float64(s.Datagrams.Dropped), "dropped")
	out.add(datagrams, float64(s.Datagrams.Refused), "refused")
	out.add(handshakes, float64(s.FailedHandshakes))
	for _, node := range slices.Sorted(maps.Keys(s.CertificateEnds)) {
		out.add(certificate, float64(s.CertificateEnds[node].Unix()), node)
	}
	for _, node := range slices.Sorted(maps.Keys(s.BeatAge)) {
		out.add(beatAge, s.BeatAge[node].Seconds(), node)
	}
}

func corosync(out *series, s Source) {
	voters, present, faulty := 0, 0, 0
	ids := nodeIDs(s)
	for _, v := range s.Servers {
		id, votes := ids[v.Node], 0.0
		if v.Voter {
			voters++
			votes = 1
			if v.Online {
				present++
			}
		}
		if !v.Online {
			faulty++
		}
		local := "false"
		if v.Node == s.Node {
			local = "true"
		}
		out.add(memberVotes, votes, id, v.Node, local)
		out.add(rings, truth(v.Online), strconv.FormatUint(s.Term, 10), id, "0", v.Addr)
	}
	out.add(quorate, truth(s.Quorum))
	out.add(quorumVotes, float64(voters), "expected_votes")
	out.add(quorumVotes, float64(voters), "highest_expected")
	out.add(quorumVotes, float64(present), "total_votes")
	out.add(quorumVotes, float64(voters/2+1), "quorum")
	out.add(ringErrors, float64(faulty))
}

// nodeIDs are the nodes' ids from the CIB; a server that is not in it yet gets
// one made of its name, since two without an id would be one series.
func nodeIDs(s Source) map[string]string {
	ids := map[string]string{}
	for _, v := range s.Servers {
		h := fnv.New32a()
		h.Write([]byte(v.Node))
		ids[v.Node] = strconv.FormatUint(uint64(h.Sum32()), 10)
	}
	if s.CIB == nil {
		return ids
	}
	for n := range s.CIB.Root().Path("configuration", "nodes").Each("node") {
		if _, ok := ids[n.Get("uname")]; ok {
			ids[n.Get("uname")] = n.ID()
		}
	}
	return ids
}

// scraped says that the collectors worked; they cannot fail, but dashboards ask.
func scraped(out *series, took time.Duration) {
	for _, c := range []string{"pacemaker", "corosync"} {
		out.add(scrapeSeconds, took.Seconds(), c)
		out.add(scrapeSuccess, 1, c)
	}
}
