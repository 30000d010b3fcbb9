package ipvsadm

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"systole/agents/ipvs/table"
)

func TestJSON(t *testing.T) {
	p := newPlay(t)
	p.k.timeouts = table.Timeouts{TCP: 900 * time.Second, TCPFin: 120 * time.Second, UDP: 300 * time.Second}
	end := netip.MustParseAddrPort
	program := Program{
		Open: func() (Kernel, func(), error) { return &p.k, func() {}, nil },
		Connections: func() ([]table.Connection, error) {
			return []table.Connection{{Protocol: "TCP", Client: end("192.0.2.1:1024"), Virtual: end("192.0.2.10:80"), Server: end("10.0.0.11:80"), State: "ESTABLISHED", Expires: time.Minute, Synced: true}}, nil
		},
	}
	for _, tt := range []struct {
		connections bool
		want        []string
	}{
		{false, []string{`"version": "1.2.1"`, `"tcpfin": 120`, `"service": "tcp 192.0.2.10:80"`, `"persistent": 50`, `"mask": "255.255.255.255"`, `"tunnel": "gue:6080:+c"`, `"forward": "dr"`, `"upper": 100`, `"one_packet": true`, `"in_packets": 0`, `"flags": [`}},
		{true, []string{`"state": "ESTABLISHED"`, `"expires": 60`, `"synced": true`}},
	} {
		s, err := program.State(tt.connections)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := s.WriteJSON(&out); err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s is not in\n%s", want, out.String())
			}
		}
		if !tt.connections && strings.Contains(out.String(), `"connections": [`) {
			t.Error("connections nobody asked for")
		}
	}
}
