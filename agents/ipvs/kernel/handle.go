package kernel

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"github.com/moby/ipvs"

	"systole/agents/ipvs/table"
	"systole/agents/process"
)

// Handle is a connection to IPVS in one network namespace.
type Handle struct {
	moby   *ipvs.Handle    // writes services, servers and timeouts
	raw    *netlink.Conn   // the rest
	conn   *genetlink.Conn // raw, with the framing of generic netlink
	family uint16
}

// answerWithin bounds one exchange with the kernel; netlink answers at once or never.
const answerWithin = 10 * time.Second

func open() (*Handle, error) {
	h := &Handle{}
	if err := h.dial(); err != nil {
		return nil, fmt.Errorf("open IPVS: %w", err)
	}
	family, err := h.conn.GetFamily(familyName)
	if errors.Is(err, fs.ErrNotExist) {
		loadModule()
		family, err = h.conn.GetFamily(familyName)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNoIPVS
	}
	if err == nil {
		h.family = family.ID
		h.moby, err = ipvs.New("") // only now: it remembers for good that the family was missing
	}
	if err != nil {
		h.conn.Close()
		return nil, fmt.Errorf("open IPVS: %w", err)
	}
	return h, nil
}

func (h *Handle) dial() error {
	raw, err := netlink.Dial(genetlink.Protocol, nil)
	if err == nil {
		h.raw, h.conn = raw, genetlink.NewConn(raw)
	}
	return err
}

// renew replaces a connection on which an answer may still arrive, too late.
func (h *Handle) renew(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	h.conn.Close()
	return errors.Join(fmt.Errorf("the kernel did not answer within %s", answerWithin), h.dial())
}

// loadModule asks modprobe; whether it helped shows at the next look.
func loadModule() {
	path, err := exec.LookPath("modprobe")
	if err != nil {
		path = "/sbin/modprobe"
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	process.Run(ctx, process.Command{Path: path, Args: []string{"-q", "ip_vs"}})
}

func (h *Handle) close() {
	h.moby.Close()
	h.conn.Close()
}

func (h *Handle) apply(op table.Op) error {
	s, err := mobyService(op.Service), error(nil)
	switch op.Verb {
	case table.AddService:
		err = h.moby.NewService(s)
	case table.SetService:
		err = h.moby.UpdateService(s)
	case table.DeleteService:
		err = h.moby.DelService(s)
	case table.DeleteServer:
		err = h.moby.DelDestination(s, mobyServer(op.Server))
	case table.AddServer:
		if op.Server.Forward == table.Tunneling {
			err = h.do(encodeOp(op)) // with its type and family
		} else {
			err = h.moby.NewDestination(s, mobyServer(op.Server))
		}
	case table.SetServer:
		if op.Server.Forward == table.Tunneling {
			err = h.do(encodeOp(op))
		} else {
			err = h.moby.UpdateDestination(s, mobyServer(op.Server))
		}
	default:
		panic(fmt.Sprintf("no such verb: %d", op.Verb))
	}
	if err != nil {
		return fmt.Errorf("ipvs %s: %w", op, explain(err, op))
	}
	return nil
}

func mobyService(s table.Service) *ipvs.Service {
	m := &ipvs.Service{
		FWMark: s.Mark, AddressFamily: uint16(s.Family), SchedName: string(s.Scheduler), PEName: s.Engine,
		Flags: wireFlags(s), Timeout: uint32(s.Persistent / time.Second), Netmask: wireMask(s),
	}
	if !s.IsMark() {
		m.Protocol, m.Address, m.Port = uint16(s.Protocol), net.IP(s.Addr.Addr().AsSlice()), s.Addr.Port()
	}
	return m
}

// wireFlags are the flags in the kernel's sense, which has persistence among them.
func wireFlags(s table.Service) uint32 {
	f := s.Flags & (table.OnePacket | table.SchedMask)
	if s.Persistent > 0 {
		f |= table.FlagPersistent
	}
	return uint32(f)
}

func mobyServer(s table.Server) *ipvs.Destination {
	return &ipvs.Destination{
		Address: net.IP(s.Addr.Addr().AsSlice()), Port: s.Addr.Port(), Weight: s.Weight,
		ConnectionFlags: uint32(s.Forward), UpperThreshold: s.Upper, LowerThreshold: s.Lower,
	}
}

// wireMask is the mask in the kernel's order: IPv4 as the bytes of an address.
func wireMask(s table.Service) uint32 {
	m := cmp.Or(s.Mask, table.FullMask(s.Family))
	if s.Family == table.IPv6 {
		return m
	}
	return swap32(m)
}

// swap32 turns a number in this machine's order into one whose bytes lie in
// network order, and back.
func swap32(v uint32) uint32 {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return binary.NativeEndian.Uint32(b[:])
}

// explain turns the kernel's errno into what happened (net/netfilter/ipvs/ip_vs_ctl.c).
func explain(err error, op table.Op) error {
	switch {
	case errors.Is(err, syscall.EEXIST):
		return ErrExists
	case errors.Is(err, syscall.ESRCH):
		return ErrNotFound
	case errors.Is(err, syscall.ENOENT) && (op.Verb == table.AddService || op.Verb == table.SetService):
		return fmt.Errorf("the kernel has no scheduler %s or no engine %q: load the module ip_vs_%s", op.Service.Scheduler, op.Service.Engine, op.Service.Scheduler)
	case errors.Is(err, syscall.ENOENT):
		return ErrNotFound
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%w: only root may (CAP_NET_ADMIN)", err)
	}
	return err
}

func (h *Handle) clear() error {
	if err := h.moby.Flush(); err != nil {
		return fmt.Errorf("ipvs -C: %w", explain(err, table.Op{}))
	}
	return nil
}

func (h *Handle) timeouts() (table.Timeouts, error) {
	c, err := h.moby.GetConfig()
	if err != nil {
		return table.Timeouts{}, fmt.Errorf("read IPVS timeouts: %w", err)
	}
	return table.Timeouts{TCP: c.TimeoutTCP, TCPFin: c.TimeoutTCPFin, UDP: c.TimeoutUDP}, nil
}

func (h *Handle) setTimeouts(t table.Timeouts) error {
	// All three must be there; a 0 leaves its value as it is.
	err := h.moby.SetConfig(&ipvs.Config{TimeoutTCP: t.TCP, TimeoutTCPFin: t.TCPFin, TimeoutUDP: t.UDP})
	if err != nil {
		return fmt.Errorf("set IPVS timeouts: %w", err)
	}
	return nil
}

func (h *Handle) services() ([]table.Entry, error) {
	msgs, err := h.request(cmdGetService, netlink.Dump, nil)
	if err != nil {
		return nil, fmt.Errorf("read IPVS services: %w", err)
	}
	entries := make([]table.Entry, 0, len(msgs))
	for _, m := range msgs {
		e, err := decodeService(m.Data)
		if err != nil {
			return nil, fmt.Errorf("read IPVS services: %w", err)
		}
		if e.Servers, err = h.servers(e.Key); err != nil {
			return nil, fmt.Errorf("read IPVS servers of %s: %w", e.Key, err)
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b table.Entry) int { return a.Key.Compare(b.Key) })
	return entries, nil
}

// servers are none for a service that went meanwhile.
func (h *Handle) servers(k table.Key) ([]table.ServerEntry, error) {
	msgs, err := h.request(cmdGetDest, netlink.Dump, func(ae *netlink.AttributeEncoder) { encodeKey(ae, k) })
	if errors.Is(err, syscall.ESRCH) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	servers := make([]table.ServerEntry, len(msgs))
	for i, m := range msgs {
		if servers[i], err = decodeServer(m.Data, k.Family); err != nil {
			return nil, err
		}
	}
	return servers, nil
}

func (h *Handle) zero(key *table.Key) error {
	err := h.do(message(cmdZero, func(ae *netlink.AttributeEncoder) {
		if key != nil {
			encodeKey(ae, *key)
		}
	}))
	if err != nil {
		return fmt.Errorf("ipvs -Z: %w", explain(err, table.Op{}))
	}
	return nil
}

func (h *Handle) daemons() ([]table.Daemon, error) {
	msgs, err := h.request(cmdGetDaemon, netlink.Dump, nil)
	if err != nil {
		return nil, fmt.Errorf("read IPVS sync daemons: %w", err)
	}
	daemons := make([]table.Daemon, len(msgs))
	for i, m := range msgs {
		if daemons[i], err = decodeDaemon(m.Data); err != nil {
			return nil, fmt.Errorf("read IPVS sync daemons: %w", err)
		}
	}
	slices.SortFunc(daemons, func(a, b table.Daemon) int { return cmp.Compare(a.State, b.State) })
	return daemons, nil
}

func (h *Handle) startDaemon(d table.Daemon) error {
	err := h.do(message(cmdNewDaemon, func(ae *netlink.AttributeEncoder) { encodeDaemon(ae, d) }))
	switch {
	case errors.Is(err, syscall.ENODEV):
		err = fmt.Errorf("there is no interface %s", d.Interface)
	case errors.Is(err, syscall.EINVAL):
		err = errors.New("the kernel refuses: it synchronises nothing while a service has servers of the other address family")
	case err != nil:
		err = explain(err, table.Op{})
	}
	if err != nil {
		return fmt.Errorf("start the IPVS sync daemon (%s) on %s: %w", d.State, d.Interface, err)
	}
	return nil
}

func (h *Handle) stopDaemon(s table.DaemonState) error {
	err := h.do(message(cmdDelDaemon, func(ae *netlink.AttributeEncoder) { encodeDaemon(ae, table.Daemon{State: s}) }))
	if err != nil {
		return fmt.Errorf("stop the IPVS sync daemon (%s): %w", s, explain(err, table.Op{}))
	}
	return nil
}

func (h *Handle) info() (table.Info, error) {
	msgs, err := h.request(cmdGetInfo, 0, nil)
	if err == nil && len(msgs) == 0 {
		err = errors.New("no answer")
	}
	if err != nil {
		return table.Info{}, fmt.Errorf("read IPVS information: %w", err)
	}
	return decodeInfo(msgs[0].Data)
}

// interruptedTries bounds the repetitions of a dump during which the table changed.
const interruptedTries = 5

// request asks one question and returns the answers.
func (h *Handle) request(cmd uint8, flags netlink.HeaderFlags, attrs func(*netlink.AttributeEncoder)) ([]genetlink.Message, error) {
	m, err := message(cmd, attrs)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		if err := h.conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
			return nil, err
		}
		msgs, err := h.conn.Execute(m, h.family, netlink.Request|flags)
		if !errors.Is(err, syscall.EINTR) || try == interruptedTries {
			return msgs, h.renew(err)
		}
	}
}

// do sends one command, if it could be encoded.
func (h *Handle) do(m genetlink.Message, err error) error {
	if err != nil {
		return err
	}
	return h.command(m)
}

// address of a family from the kernel's bytes, which are always 16.
func address(b []byte, f table.Family) (netip.Addr, error) {
	if f == table.IPv4 && len(b) >= 4 {
		return netip.AddrFrom4([4]byte(b[:4])), nil
	}
	if f == table.IPv6 && len(b) >= 16 {
		return netip.AddrFrom16([16]byte(b[:16])), nil
	}
	return netip.Addr{}, fmt.Errorf("the kernel sent an address of %d bytes for %s", len(b), f)
}
