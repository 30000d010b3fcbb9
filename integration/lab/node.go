package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"systole/integration/lab/line"
)

const (
	kernel    = "linux.uml"
	firstHost = 10 // node 1 is .11 everywhere
	// bootWithin bounds a boot; an idle machine needs 2 s.
	bootWithin = 60 * time.Second
)

// Node is one machine with a kernel of its own. Its disk survives a power cut,
// everything else does not. What is exported here is set before [Node.Boot]. Its
// methods are safe for concurrent use.
type Node struct {
	Name    string
	Addr    netip.Addr // on the first segment
	Memory  int        // MiB; 256 unless set
	Modules []string   // kernel modules loaded at boot, with parameters in Kernel
	Kernel  []string   // further words for the kernel, such as softdog.soft_margin=4
	Env     []string   // NAME=value for every command run; its program is looked up without them
	// Nice is the priority of the whole machine among the processes outside, as nice(1)
	// has it: one that computes without end must not keep the others from their beats,
	// as it would not if each had processors of its own.
	Nice int
	// Disks are files outside that are further disks, /dev/ubdb and on. The same
	// file in two nodes is a shared disk; use O_DIRECT.
	Disks []string

	lab    *Lab
	number int
	disk   string // its own, "" for none
	nets   []card

	mu      sync.Mutex
	machine *machine // nil without power
}

// card is a network card: the segment and the address it gets at boot.
type card struct {
	segment *Segment
	prefix  netip.Prefix
}

// machine is one run of a node, from power on to power off.
type machine struct {
	cmd     *exec.Cmd
	console *console
	since   time.Time
	off     chan struct{} // closed when its process is gone and its cables are dead
}

// dir is the node's directory outside; inside it is /lab/NAME.
func (n *Node) dir() string { return filepath.Join(n.lab.share, n.Name) }

func (n *Node) inside(name string) string { return path.Join("/lab", n.Name, name) }

// Running tells whether the node has power.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.machine != nil
}

// Boot switches the node on and waits until commands can be run in it.
func (n *Node) Boot(ctx context.Context) error {
	if err := n.switchOn(); err != nil {
		return err
	}
	return n.AwaitUp(ctx)
}

// AwaitUp waits until commands can be run in a node that has power.
func (n *Node) AwaitUp(ctx context.Context) error {
	n.mu.Lock()
	m := n.machine
	n.mu.Unlock()
	if m == nil {
		return fmt.Errorf("boot %s: %w", n.Name, errNoPower)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, bootWithin, fmt.Errorf("no word within %v", bootWithin))
	defer cancel()
	select {
	case <-m.console.ready:
		n.lab.say("%s is up after %v", n.Name, time.Since(m.since).Round(time.Millisecond))
		return nil
	case <-m.off:
		return fmt.Errorf("boot %s: it ended, see %s", n.Name, filepath.Join(n.lab.keep, n.consoleLog()))
	case <-ctx.Done():
		return fmt.Errorf("boot %s: %w, see %s", n.Name, context.Cause(ctx), filepath.Join(n.lab.keep, n.consoleLog()))
	}
}

// AwaitOff waits until the node has no power: after a reset, a panic, poweroff.
func (n *Node) AwaitOff(ctx context.Context) error {
	n.mu.Lock()
	m := n.machine
	n.mu.Unlock()
	if m == nil {
		return nil
	}
	select {
	case <-m.off:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s has power still: %w", n.Name, context.Cause(ctx))
	}
}

// consoleLog is the file, among the logs, of what the kernel says.
func (n *Node) consoleLog() string { return n.Name + ".console" }

// switchOn gives the node power and returns at once.
func (n *Node) switchOn() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.machine != nil {
		return fmt.Errorf("boot %s: it is running", n.Name)
	}
	if n.lab.ctx.Err() != nil {
		return fmt.Errorf("boot %s: the lab has ended", n.Name)
	}
	m, err := n.start()
	if err != nil {
		return fmt.Errorf("boot %s: %w", n.Name, err)
	}
	n.machine = m
	n.lab.running.Go(func() {
		m.cmd.Wait()
		syscall.Kill(-m.cmd.Process.Pid, syscall.SIGKILL) // what the kernel left of its own
		for _, c := range n.nets {
			c.segment.unplug(n.Name)
		}
		m.console.close()
		n.mu.Lock()
		n.machine = nil
		n.mu.Unlock()
		close(m.off)
	})
	return nil
}

func (n *Node) start() (*machine, error) {
	log, err := os.OpenFile(filepath.Join(n.lab.dir, n.consoleLog()), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	m := &machine{off: make(chan struct{})}
	var end *os.File
	m.console, end, err = newConsole(n.dir(), n.inside(""), func(c line.FenceCall) line.FenceAnswer { return n.lab.Switch.take(n.Name, c) })
	if err != nil {
		return nil, err
	}
	files := []*os.File{end}
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	undo := func(err error) (*machine, error) {
		for _, c := range n.nets {
			c.segment.unplug(n.Name)
		}
		m.console.close()
		return nil, err
	}
	for _, c := range n.nets {
		cable, err := c.segment.plug(n.Name)
		if err != nil {
			return undo(err)
		}
		files = append(files, cable)
	}
	m.cmd = exec.Command(kernel, n.words()...)
	m.cmd.Stdout, m.cmd.Stderr = log, log
	m.cmd.ExtraFiles = files
	m.cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + n.lab.scratch, "TMPDIR=" + n.lab.scratch}
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // one process group: one power cut
	m.since = time.Now()
	if err := m.cmd.Start(); err != nil {
		return undo(err)
	}
	if err := n.place(m.cmd.Process.Pid); err != nil {
		n.lab.say("processor and priority of %s: %v", n.Name, err)
	}
	return m, nil
}

// firstFile is the descriptor of the first of exec.Cmd's ExtraFiles.
const firstFile = 3

// words is the kernel's command line.
func (n *Node) words() []string {
	memory := n.Memory
	if memory == 0 {
		memory = 256
	}
	words := []string{
		fmt.Sprintf("mem=%dM", memory), "rootfstype=hostfs", "rootflags=/", "ro",
		"init=" + filepath.Join(n.lab.share, "init.sh"),
		"con=null", "con0=null,fd:1", fmt.Sprintf("con1=fd:%d,fd:%d", firstFile, firstFile), "ssl=null",
		"uml_dir=" + n.lab.scratch + "/", "umid=" + n.Name,
		// A reset ends the process: it is the harness that switches on.
		"quiet", "noreboot", "panic=1",
		// These measure how fast parity can be computed, for a second.
		"initcall_blacklist=raid6_select_algo,calibrate_xor_blocks",
	}
	var nets []string
	for i, c := range n.nets {
		words = append(words, fmt.Sprintf("vec%d:transport=fd,fd=%d,depth=128,mac=%s", i, firstFile+1+i, c.segment.mac(n.number)))
		nets = append(nets, c.prefix.String())
	}
	disks := n.Disks
	if n.disk != "" {
		words = append(words, "ubd0="+n.disk, "LAB_DISK=ubda")
	}
	for i, d := range disks {
		words = append(words, fmt.Sprintf("ubd%dsc=%s", i+1, d)) // s: write through, c: no lock on the file
	}
	words = append(words, n.Kernel...)
	return append(words,
		"LAB_NODE="+n.Name, "LAB_SHARE="+n.lab.share,
		"LAB_NETS="+strings.Join(nets, ","), "LAB_MODULES="+strings.Join(n.Modules, ","))
}

// WithDisk gives the node a disk of size MiB, made new: its changes to /usr,
// /etc, /var, /opt, /root, /home and all of /srv then survive a power cut.
func (n *Node) WithDisk(size int) error {
	n.disk = filepath.Join(n.lab.scratch, n.Name+".img")
	f, err := os.Create(n.disk)
	if err != nil {
		return err
	}
	err = errors.Join(f.Truncate(int64(size)<<20), f.Close())
	if err != nil {
		return err
	}
	out, err := exec.Command("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", n.disk).CombinedOutput()
	if err != nil {
		return fmt.Errorf("disk of %s: mkfs.ext4: %w: %s", n.Name, err, out)
	}
	return nil
}

// On adds a network card of the node on a segment, with the node's own number in
// the network as its address: call it before Boot.
func (n *Node) On(s *Segment, network netip.Prefix) {
	four := network.Addr().As4()
	four[3] = byte(firstHost + n.number)
	n.nets = append(n.nets, card{s, netip.PrefixFrom(netip.AddrFrom4(four), network.Bits())})
}

// Write writes a file that the node sees as the returned path, at once.
func (n *Node) Write(name, text string, mode os.FileMode) (inside string, err error) {
	outside := filepath.Join(n.dir(), name)
	if err := os.MkdirAll(filepath.Dir(outside), 0o755); err != nil {
		return "", err
	}
	return n.inside(name), os.WriteFile(outside, []byte(text), mode)
}

// Log is what the node has written so far into a file of its directory, "" if there is none.
func (n *Node) Log(name string) string {
	b, _ := os.ReadFile(filepath.Join(n.dir(), name))
	return string(b)
}
