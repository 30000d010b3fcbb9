package stage

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"systole/integration/netlab"
)

// StartsSince counts the resources that the daemons have started since a moment,
// and says when the first start began and the last one ended.
func (c *Cluster) StartsSince(since time.Time) (count int, first, last time.Time) {
	c.eachLogged(since, func(l logged) {
		if l.Msg != "resource started" {
			return
		}
		count++
		if began := l.Time.Add(-l.Took); first.IsZero() || began.Before(first) {
			first = began
		}
		if l.Time.After(last) {
			last = l.Time
		}
	})
	return count, first, last
}

// Usage is what a daemon needs of its machine.
type Usage struct {
	RSS int64         // bytes
	CPU time.Duration // since its start
}

// ticksPerSecond is the kernel's USER_HZ, the unit of /proc/PID/stat (proc(5)).
const ticksPerSecond = 100

// DaemonUsage reads what systoled on the node uses.
func (c *Cluster) DaemonUsage(ctx context.Context, n *netlab.Node) (Usage, error) {
	pid := strconv.Itoa(c.daemons[n.Name])
	text, err := n.Run(ctx, nil, "cat", "/proc/"+pid+"/stat", "/proc/"+pid+"/status")
	if err != nil {
		return Usage{}, err
	}
	var u Usage
	// The name in parentheses may hold anything; the numbers follow it. utime and
	// stime are the 12th and 13th of them.
	_, rest, _ := strings.Cut(text, ") ")
	numbers := strings.Fields(rest)
	_, rss, ok := strings.Cut(text, "VmRSS:")
	if !ok || len(numbers) < 13 {
		return u, fmt.Errorf("%s: /proc/%s: %q", n.Name, pid, text)
	}
	for _, ticks := range numbers[11:13] {
		t, err := strconv.ParseInt(ticks, 10, 64)
		if err != nil {
			return u, fmt.Errorf("%s: /proc/%s/stat: %w", n.Name, pid, err)
		}
		u.CPU += time.Duration(t) * time.Second / ticksPerSecond
	}
	kib, err := strconv.ParseInt(strings.Fields(rss)[0], 10, 64)
	u.RSS = kib << 10
	return u, err
}
