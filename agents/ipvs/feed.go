package ipvs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"systole/agents/ipvs/director"
	"systole/agents/ipvs/table"
)

// Back-off of a feed that ends.
const (
	feedAgain     = time.Second
	feedAgainMost = 30 * time.Second
)

// feed follows the cluster's weights by the program `crm lvs feed`. What it
// said last holds while it does not run.
type feed struct {
	argv, env []string
	table     func(map[string]director.Weight)
	state     func(string)
}

// run starts the program again and again until ctx is done.
func (f feed) run(ctx context.Context) {
	wait := feedAgain
	for {
		began := time.Now()
		err := f.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > feedAgainMost {
			wait = feedAgain
		}
		f.state(fmt.Sprintf("%s ended (%v), the last table holds; again in %s", f.argv[0], err, wait))
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, feedAgainMost)
	}
}

func (f feed) once(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, f.argv[0], f.argv[1:]...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = f.env, "/", time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = readFeed(out, func(t map[string]director.Weight) {
		f.state("connected")
		f.table(t)
	})
	cmd.Cancel()
	if ended := cmd.Wait(); err == nil {
		err = ended
	}
	return err
}

// readFeed reads tables: lines `NODE WEIGHT`, where WEIGHT is a number, drain
// or - for the configured one; an empty line ends a table.
func readFeed(r io.Reader, table func(map[string]director.Weight)) error {
	lines := bufio.NewScanner(r)
	next := map[string]director.Weight{}
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			table(next)
			next = map[string]director.Weight{}
			continue
		}
		node, w, err := parseFeed(lines.Text())
		if err != nil {
			return err
		}
		next[node] = w
	}
	return lines.Err()
}

func parseFeed(line string) (node string, w director.Weight, err error) {
	f := strings.Fields(line)
	if len(f) != 2 {
		return "", w, fmt.Errorf("the feed's line %q is not NODE WEIGHT", line)
	}
	switch f[1] {
	case "-":
		return f[0], w, nil
	case "drain":
		return f[0], director.Weight{Drain: true}, nil
	}
	n, err := strconv.Atoi(f[1])
	if err != nil || n < 0 || n > table.MaxWeight {
		return "", w, fmt.Errorf("the feed's weight in %q is not drain, - or 0 to %d", line, table.MaxWeight)
	}
	return f[0], director.Weight{Set: true, N: n}, nil
}
