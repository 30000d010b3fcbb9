package node

import (
	"strconv"
	"time"

	"systole/crm/cib"
	"systole/crm/controller"
)

// nextIncarnation numbers this run of the daemon. The upper bits name the boot,
// the lower [controller.RestartBits] count the runs in it: two incarnations with
// the same upper bits hand over to each other what they ran, others do not.
// It is above every earlier one even if the wall clock was set back. A boot is
// named by its millisecond: namespaces and virtual machines boot twice in a second.
func nextIncarnation(kept Kept, sameBoot bool, recorded uint64, now time.Time) uint64 {
	if sameBoot && kept.Incarnation >= recorded {
		return kept.Incarnation + 1
	}
	boot := max(uint64(max(now.UnixMilli(), 0)), recorded>>controller.RestartBits+1)
	return boot << controller.RestartBits
}

// recordedIncarnation is the one the CIB has for a node, 0 for none.
func recordedIncarnation(c *cib.CIB, node string) uint64 {
	for s := range c.Status().Each("node_state") {
		if s.Get("uname") == node {
			n, _ := strconv.ParseUint(s.Get(controller.AttrIncarnation), 10, 64)
			return n
		}
	}
	return 0
}

func incarnationText(n uint64) string { return strconv.FormatUint(n, 10) }
