package filesystem

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/mounts"
	"systole/agents/internal/proc"
)

// stop unmounts what is configured and makes sure that it has gone.
func (a *Agent) stop(ctx context.Context, c config) error {
	if err := c.unfinished(); err != nil {
		return err
	}
	unmounted := false
	for {
		m, mine, _, err := a.locate(ctx, &c)
		if err != nil {
			return err
		}
		if !mine { // a stranger's mount is not ours to end
			if c.kind() == onBlock {
				return a.released(ctx, c, unmounted)
			}
			return nil
		}
		if err := a.ladder(ctx, c).climb(ctx, m); err != nil {
			return err
		}
		unmounted = true
	}
}

// released makes sure that nothing in this kernel has the file system: it lives on in
// a bind mount, in another namespace or, which is looked for only when it was unmounted
// just now, in an open file after a lazy unmount.
func (a *Agent) released(ctx context.Context, c config, unmounted bool) error {
	d, err := c.find(ctx)
	if errors.Is(err, errNoDevice) {
		return nil
	}
	if err != nil {
		return err
	}
	t, err := mounts.Read()
	if err != nil {
		return err
	}
	if others := t.Of(d.dev); d.dev != "" && len(others) > 0 {
		return fmt.Errorf("%s is not mounted on %s, and still on %s: unmount it there", c.device, c.dir, others[0].Point)
	}
	if who := inNamespaces(d.dev); who != "" {
		return fmt.Errorf("%s is not mounted on %s, and still in another mount namespace%s", c.device, c.dir, who)
	}
	if !unmounted {
		return nil
	}
	tick := time.NewTicker(releasePoll)
	defer tick.Stop()
	for {
		_, err = a.try(ctx, "claim", d.path)
		if !errors.Is(err, unix.EBUSY) {
			return nil // free; or not to be opened at all, which a mounted one can be
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is unmounted from %s, and the kernel still uses the device", c.device, c.dir)
		case <-tick.C:
		}
	}
}

// releasePoll is between two looks; the last reference mostly goes within milliseconds.
const releasePoll = 50 * time.Millisecond

// ladder is how far an unmount goes, and when.
type ladder struct {
	agent  *Agent
	dir    string
	end    bool // processes in the way may be ended
	lazy   bool // a server guards the data: the kernel may forget the mount
	kill   time.Time
	force  time.Time // a server that does not answer by then is given up
	giveUp time.Time
}

// Times of the ladder. Without fast_stop they are shares of the stop's timeout.
const (
	fastGrace  = time.Second     // between TERM and KILL
	fastGiveUp = 5 * time.Second // from the beginning
	longest    = 30 * time.Second
	forceGrace = time.Second // for MNT_FORCE, which may hang too
	// busyPoll is between two tries when nobody is seen that could be waited for.
	busyPoll = 200 * time.Millisecond
	// lastWords is kept of the timeout for the rungs after the last patience.
	lastWords = 3 * time.Second
)

func (a *Agent) ladder(ctx context.Context, c config) ladder {
	now := time.Now()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = now.Add(longest)
	}
	whole := deadline.Sub(now)
	l := ladder{agent: a, dir: c.dir, end: c.force, lazy: c.kind() == onNetwork,
		kill: now.Add(min(whole/3, longest)), force: now.Add(whole / 2), giveUp: deadline.Add(-min(lastWords, whole/4))}
	if c.fast {
		l.kill, l.force = now.Add(min(fastGrace, whole/3)), now.Add(min(2*fastGrace, whole/2))
		l.giveUp = now.Add(min(fastGiveUp, 3*whole/4))
	}
	if a.cfg.Lease != nil && a.cfg.Lease.Remaining() <= 0 {
		l.kill, l.force = now, now
	}
	return l
}

// climb unmounts: plainly; then ending the processes in the way, with TERM and
// then KILL; then, for a network file system only, giving up what its server was
// asked, and at last lazily. It leaves no rung out because it was slow: before that
// the whole operation must end. Its error names who is in the way.
func (l ladder) climb(ctx context.Context, m mounts.Mount) error {
	told, killed := map[int]unix.Signal{}, false
	for {
		err := l.unmount(ctx, 0)
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, errHangs) {
			return err
		}
		users := mounts.Users(l.dir)
		now := time.Now()
		switch {
		case !l.end:
			return l.held(m, users)
		case l.lazy && now.After(l.force):
			l.signal(users, unix.SIGKILL, told)
			return l.abandon(ctx, m)
		case killed && now.After(l.giveUp) || ctx.Err() != nil:
			return l.held(m, users)
		}
		signal, until := unix.SIGTERM, l.kill
		if !now.Before(l.kill) {
			signal, until, killed = unix.SIGKILL, latest(l.giveUp, now.Add(fastGrace)), true
		}
		if l.signal(users, signal, told) == 0 { // nobody new: the kernel, or someone we may not touch
			until = now.Add(busyPoll)
		}
		await(ctx, users, until)
	}
}

// unmount unmounts what lies below, then the directory. For a network file system it is
// given up at the time of force.
func (l ladder) unmount(ctx context.Context, flags int) error {
	t, err := mounts.Read()
	if err != nil {
		return err
	}
	args := []string{"unmount", strconv.Itoa(flags)}
	for _, b := range t.Below(l.dir) {
		args = append(args, b.Point)
	}
	if l.lazy && flags == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, latest(l.force, time.Now().Add(busyPoll)))
		defer cancel()
	}
	_, err = l.agent.try(ctx, append(args, l.dir)...)
	if errors.Is(err, unix.EINVAL) && l.done() {
		return nil
	}
	return err
}

// done tells whether the directory is no mount point any more: an unmount that was given
// up, because the server did not answer, may have come to its end meanwhile.
func (l ladder) done() bool {
	t, err := mounts.Read()
	if err != nil {
		return false
	}
	_, mounted := t.At(l.dir)
	return !mounted
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// abandon makes the kernel forget a network file system: what was asked of its
// server fails (MNT_FORCE), and the mount goes now, its last user later (MNT_DETACH).
func (l ladder) abandon(ctx context.Context, m mounts.Mount) error {
	l.agent.cfg.Log.Warn("server does not answer or users do not end: unmounting by force", "dev", m.Source, "dir", l.dir)
	first, cancel := context.WithTimeout(ctx, forceGrace)
	defer cancel()
	if err := l.unmount(first, unix.MNT_FORCE); err == nil {
		return nil
	}
	return l.unmount(ctx, unix.MNT_DETACH)
}

// signal tells processes to end, each once for each signal, and never this one, those it
// came from or the first. It returns how many were told.
func (l ladder) signal(users []mounts.User, s unix.Signal, told map[int]unix.Signal) (n int) {
	spared := ancestors()
	for _, u := range users {
		if slices.Contains(spared, u.PID) || told[u.PID] == s {
			continue
		}
		h, err := proc.Open(u.PID)
		if err != nil {
			continue // gone
		}
		l.agent.cfg.Log.Warn("ending a process in the way of an unmount", "dir", l.dir, "process", u.String(), "signal", unix.SignalName(s))
		if h.Signal(s) == nil {
			told[u.PID] = s
			n++
		}
		h.Close()
	}
	return n
}

// ancestors are this process and those it came from.
func ancestors() (pids []int) {
	pids = []int{1}
	for pid := os.Getpid(); pid > 1 && len(pids) < 64; {
		pids = append(pids, pid)
		p, ok := proc.Find(pid)
		if !ok {
			break
		}
		pid = p.Parent
	}
	return pids
}

// await waits until the users have ended, or until a time.
func await(ctx context.Context, users []mounts.User, until time.Time) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	spared := ancestors()
	waited := false
	for _, u := range users {
		if slices.Contains(spared, u.PID) {
			continue
		}
		if h, err := proc.Open(u.PID); err == nil {
			waited = true
			h.Wait(ctx)
			h.Close()
		}
	}
	if !waited {
		<-ctx.Done()
	}
}

// maxNamed bounds the processes an error names.
const maxNamed = 5

// held is the error that says who is in the way.
func (l ladder) held(m mounts.Mount, users []mounts.User) error {
	if len(users) == 0 {
		return fmt.Errorf("%s on %s is busy and no process is seen to use it: the kernel does (an NFS export, a loop device, a swap file) or a process in another namespace", m.Source, l.dir)
	}
	var names []string
	for _, u := range users[:min(len(users), maxNamed)] {
		names = append(names, u.String())
	}
	if more := len(users) - maxNamed; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%s on %s is in use: %s", m.Source, l.dir, strings.Join(names, "; "))
}

// atoi is for the names of directories in /proc.
func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
