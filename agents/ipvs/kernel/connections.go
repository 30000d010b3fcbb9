package kernel

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"systole/agents/ipvs/table"
)

// The thread's own network namespace, not the process's.
const (
	connPath = "/proc/thread-self/net/ip_vs_conn"
	syncPath = "/proc/thread-self/net/ip_vs_conn_sync"
)

func connections() ([]table.Connection, error) {
	synced := map[string]bool{}
	if err := eachLine(syncPath, func(f []string) error {
		if len(f) >= 9 && f[8] == "SYNC" {
			synced[strings.Join(f[:7], " ")] = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var conns []table.Connection
	err := eachLine(connPath, func(f []string) error {
		c, err := parseConnection(f)
		c.Synced = synced[strings.Join(f[:min(7, len(f))], " ")]
		conns = append(conns, c)
		return err
	})
	return conns, err
}

// CountSynced is how many connections came from another director.
func CountSynced() (int, error) {
	n := 0
	err := eachLine(syncPath, func(f []string) error {
		if len(f) >= 9 && f[8] == "SYNC" {
			n++
		}
		return nil
	})
	return n, err
}

func eachLine(path string, do func(fields []string) error) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w", path, ErrNoIPVS)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return eachRow(f, do)
}

// eachRow gives the fields of every line but the heading.
func eachRow(r io.Reader, do func(fields []string) error) error {
	lines := bufio.NewScanner(r)
	lines.Scan()
	for lines.Scan() {
		if err := do(strings.Fields(lines.Text())); err != nil {
			return fmt.Errorf("IPVS connection %q: %w", lines.Text(), err)
		}
	}
	return lines.Err()
}

// parseConnection reads the fields of ip_vs_conn_seq_show (ip_vs_conn.c):
// protocol, three pairs of address and port in hexadecimal, state, seconds, and
// for a persistence engine its name and data.
func parseConnection(f []string) (c table.Connection, err error) {
	if len(f) < 9 {
		return c, fmt.Errorf("%d fields, not 9", len(f))
	}
	c.Protocol, c.State = f[0], f[7]
	for i, end := range []*netip.AddrPort{&c.Client, &c.Virtual, &c.Server} {
		if *end, err = parseEnd(f[1+2*i], f[2+2*i]); err != nil {
			return c, err
		}
	}
	seconds, err := strconv.ParseUint(f[8], 10, 32)
	if err != nil {
		return c, err
	}
	c.Expires = time.Duration(seconds) * time.Second
	if len(f) >= 11 {
		c.Engine, c.EngineData = f[9], strings.Join(f[10:], " ")
	}
	return c, nil
}

func parseEnd(addr, port string) (netip.AddrPort, error) {
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if strings.Contains(addr, ":") {
		a, err := netip.ParseAddr(strings.Trim(addr, "[]"))
		return netip.AddrPortFrom(a, uint16(p)), err
	}
	b, err := hex.DecodeString(addr)
	if err != nil || len(b) != 4 {
		return netip.AddrPort{}, fmt.Errorf("%q is not an address", addr)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), uint16(p)), nil
}
