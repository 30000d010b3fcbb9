package ipvs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"systole/agents"
	"systole/agents/ipvs/config"
	"systole/agents/ipvs/control"
	"systole/agents/ipvs/kernel"
	"systole/agents/ipvs/table"
)

// insideEnv makes this program the one that runs in the node.
const insideEnv = "SYSTOLE_LAB_INSIDE"

// inside is what runs in the node: the agent as a stand-alone OCF script, its
// process, and a few words to the kernel layer.
func inside(args []string) error {
	switch args[0] {
	case "agent":
		os.Exit(agents.Main(context.Background(), "ipvs", args[1:], os.Environ(), os.Stdout, os.Stderr))
	case "status":
		s, err := control.Ask(context.Background(), control.Socket("", args[1]), control.Request{Do: control.Show})
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(s)
	case "tell":
		var r control.Request
		if err := json.Unmarshal([]byte(args[2]), &r); err != nil {
			return err
		}
		_, err := control.Ask(context.Background(), control.Socket("", args[1]), r)
		return err
	case "serve":
		return http.ListenAndServe(args[2], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, args[1]) }))
	case "get":
		return get(args[1], args[2])
	case "time":
		return stopwatch(args[1:])
	case "echo":
		return echo(args[1])
	case "answer":
		return answer(args[1], args[2:])
	case "ask":
		return ask(args[1], args[2], args[3], args[4:])
	case "keepalived":
		return keepalived(args[1], args[2])
	case "talk":
		return talk(args[1], args[2])
	}
	k, err := kernel.Open()
	if err != nil {
		return err
	}
	defer k.Close()
	switch args[0] {
	case "apply":
		return apply(k, args[1])
	case "dump":
		return dump(k)
	case "reloads":
		return reloads(k, args[1], args[2])
	case "features":
		return features(k)
	}
	return fmt.Errorf("what is %q?", args[0])
}

// get asks for a page several times, each over a connection of its own.
func get(url, times string) error {
	n, err := strconv.Atoi(times)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for range n {
		r, err := client.Get(url)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return err
		}
		fmt.Print(string(body))
	}
	return nil
}

// stopwatch runs a program with a file as its input and prints the microseconds it took.
func stopwatch(args []string) error {
	in, err := os.Open(args[len(args)-1])
	if err != nil {
		return err
	}
	defer in.Close()
	cmd := exec.Command(args[0], args[1:len(args)-1]...)
	cmd.Stdin, cmd.Stderr = in, os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return err
	}
	fmt.Println(time.Since(began).Microseconds())
	return nil
}

// echo returns lines for ever.
func echo(addr string) error {
	l, err := net.Listen("tcp", addr)
	for err == nil {
		var conn net.Conn
		if conn, err = l.Accept(); err == nil {
			go io.Copy(conn, conn)
		}
	}
	return err
}

// talk says a line and hears it, waits for a file, and does so again over the same connection.
func talk(addr, file string) error {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	say := func(line string) error {
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Write([]byte(line)); err != nil {
			return err
		}
		heard := make([]byte, len(line))
		if _, err := io.ReadFull(conn, heard); err != nil || string(heard) != line {
			return fmt.Errorf("said %q, heard %q, %v", line, heard, err)
		}
		fmt.Print(line)
		return nil
	}
	if err := say("before\n"); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(file); err == nil {
			return say("after\n")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// apply programs a configuration file, then looks whether all is as wanted, and
// prints the operations and how long it took from reading the file to the last of them.
func apply(k *kernel.Handle, file string) error {
	began := time.Now()
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	cfg, err := config.Parse(string(text), config.Defaults{})
	if err != nil {
		return err
	}
	var wanted []table.Virtual
	for _, v := range cfg.Virtuals {
		w := table.Virtual{Service: v.Service}
		for _, r := range v.Reals {
			w.Servers = append(w.Servers, r.Server)
		}
		wanted = append(wanted, w)
	}
	have, err := k.Services()
	if err != nil {
		return err
	}
	ops := table.Diff(wanted, nil, have)
	if err := k.ApplyAll(ops); err != nil {
		return err
	}
	fmt.Printf("%d %d\n", len(ops), time.Since(began).Microseconds())
	if have, err = k.Services(); err != nil {
		return err
	}
	if ops := table.Diff(wanted, nil, have); len(ops) > 0 {
		return fmt.Errorf("the kernel's table still differs: %v", ops)
	}
	return nil
}

// dump prints the table in ipvsadm's save format.
func dump(k *kernel.Handle) error {
	entries, err := k.Services()
	if err != nil {
		return err
	}
	for _, e := range entries {
		fmt.Println(strings.Join(append([]string{"-A"}, e.Service.Args()...), " "))
		for _, s := range e.Servers {
			fmt.Println(strings.Join(append(append([]string{"-a"}, e.Key.Args()...), s.Server.Args()...), " "))
		}
	}
	return nil
}

// features tries what has no save format: timeouts, daemons, information, errors.
func features(k *kernel.Handle) error {
	if i, err := k.Info(); err != nil || i.Version < 0x010200 || i.ConnSize == 0 {
		return fmt.Errorf("information %+v, %v", i, err)
	}
	want := table.Timeouts{TCP: 901 * time.Second, TCPFin: 121 * time.Second, UDP: 301 * time.Second}
	if err := k.SetTimeouts(want); err != nil {
		return err
	}
	if err := k.SetTimeouts(table.Timeouts{UDP: 302 * time.Second}); err != nil {
		return err
	}
	want.UDP = 302 * time.Second
	if got, err := k.Timeouts(); err != nil || got != want {
		return fmt.Errorf("timeouts %+v, %v; want %+v", got, err, want)
	}
	d := table.Daemon{State: table.Backup, Interface: "lo", ID: 7, MaxLen: 1300, Port: 8850, TTL: 3}
	if err := k.StartDaemon(d); err != nil {
		return err
	}
	if err := k.StartDaemon(d); !isError(err, kernel.ErrExists) {
		return fmt.Errorf("a second daemon: %v", err)
	}
	got, err := k.Daemons()
	if err != nil || len(got) != 1 {
		return fmt.Errorf("daemons %+v, %v", got, err)
	}
	if got[0].Group.String() != "224.0.0.81" {
		return fmt.Errorf("the daemon's group is %v", got[0].Group)
	}
	if got[0].Group = d.Group; got[0] != d {
		return fmt.Errorf("daemon %+v, want %+v", got[0], d)
	}
	if err := k.StopDaemon(table.Backup); err != nil {
		return err
	}
	if err := k.StopDaemon(table.Backup); !isError(err, kernel.ErrNotFound) {
		return fmt.Errorf("no daemon to stop: %v", err)
	}
	d.Interface = "nosuch0"
	if err := k.StartDaemon(d); err == nil || !strings.Contains(err.Error(), "there is no interface nosuch0") {
		return fmt.Errorf("a daemon on no interface: %v", err)
	}
	return errors.Join(single(k), refusals(k), k.Zero(nil))
}

// single does every kind of operation by itself, as after a refusal.
func single(k *kernel.Handle) error {
	s := table.Service{Key: table.AddrKey(table.TCP, netip.MustParseAddrPort("192.0.2.99:80")), Scheduler: "rr"}
	changed := s
	changed.Scheduler, changed.Persistent, changed.Mask = "wrr", time.Minute, 0xffffff00
	direct := table.Server{Addr: netip.MustParseAddrPort("10.99.0.4:80"), Forward: table.DirectRouting, Weight: 1, Upper: 9, Lower: 3}
	tunnel := table.Server{Addr: direct.Addr, Forward: table.Tunneling, Weight: 5, Tunnel: table.Tunnel{Type: table.GUE, Port: 6080}}
	for _, step := range []struct {
		op   table.Op
		want []table.Virtual
	}{
		{table.Op{Verb: table.AddService, Service: s}, []table.Virtual{{Service: s}}},
		{table.Op{Verb: table.SetService, Service: changed}, []table.Virtual{{Service: changed}}},
		{table.Op{Verb: table.AddServer, Service: s, Server: direct}, []table.Virtual{{Service: changed, Servers: []table.Server{direct}}}},
		{table.Op{Verb: table.SetServer, Service: s, Server: tunnel}, []table.Virtual{{Service: changed, Servers: []table.Server{tunnel}}}},
		{table.Op{Verb: table.SetServer, Service: s, Server: direct}, []table.Virtual{{Service: changed, Servers: []table.Server{direct}}}},
		{table.Op{Verb: table.DeleteServer, Service: s, Server: direct}, []table.Virtual{{Service: changed}}},
		{table.Op{Verb: table.DeleteService, Service: s}, nil},
	} {
		if err := k.Apply(step.op); err != nil {
			return err
		}
		have, err := k.Services()
		if err != nil {
			return err
		}
		if ops := table.Diff(step.want, []table.Key{s.Key}, have); len(ops) > 0 || len(have) != len(step.want) {
			return fmt.Errorf("after %s the kernel lacks %v, it has %+v", step.op, ops, have)
		}
	}
	return nil
}

// refusals come back as what they mean, and a batch with one in it does the rest.
func refusals(k *kernel.Handle) error {
	s := table.Service{Key: table.MarkKey(9, table.IPv4), Scheduler: "rr"}
	r := table.Server{Addr: netip.MustParseAddrPort("10.99.0.4:0"), Forward: table.DirectRouting, Weight: 1}
	if err := k.Apply(table.Op{Verb: table.DeleteService, Service: s}); !isError(err, kernel.ErrNotFound) {
		return fmt.Errorf("deleting no service: %v", err)
	}
	bad := s
	bad.Scheduler = "nosuch" // "none" is one
	if err := k.Apply(table.Op{Verb: table.AddService, Service: bad}); err == nil || !strings.Contains(err.Error(), "module ip_vs_nosuch") {
		return fmt.Errorf("an unknown scheduler: %v", err)
	}
	add := table.Op{Verb: table.AddServer, Service: s, Server: r}
	last := add
	last.Server.Addr = netip.MustParseAddrPort("10.99.0.5:0")
	if err := k.ApplyAll([]table.Op{{Verb: table.AddService, Service: s}, add, add, last, add}); err == nil {
		return errors.New("a batch with refusals is without error")
	}
	have, err := k.Services()
	if err != nil || len(have) != 1 || len(have[0].Servers) != 2 {
		return fmt.Errorf("after a batch with refusals: %+v, %v", have, err)
	}
	if err := k.Apply(add); !isError(err, kernel.ErrExists) {
		return fmt.Errorf("adding a server twice: %v", err)
	}
	return k.Clear()
}
