package lvstools

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"systole/integration/lab"
)

// table makes one of everything with ipvsadm; traffic makes connections of it.
const (
	table = `
ipvsadm -A -t 192.0.2.10:80 -s wrr -p 50
ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.11:80 -g -w 3 -x 100 -y 50
ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.12:80 -i
ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.13:80 -i --tun-type gue --tun-port 6080 --tun-csum
ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.14:80 -i --tun-type gre --tun-nocsum
ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.17:80 -i --tun-type gue --tun-port 6081 --tun-remcsum
ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.18:80 -i --tun-type gue --tun-port 6082
ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.15:8080 -m
ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.16:8080 -g
ipvsadm -A -u 192.0.2.10:5060 -s rr -p -M 255.255.255.0 --pe sip -o
ipvsadm -A -u 192.0.2.10:53 -s rr -o
ipvsadm -A -t 192.0.2.11:80 -s sh -b sh-fallback,sh-port
ipvsadm -A -t 192.0.2.12:80 -s mh -b mh-port
ipvsadm -A -t 192.0.2.13:80 -s rr -b flag-1,flag-3
ipvsadm -A -t '[2001:db8::10]:80' -s rr -p 360 -M 64
ipvsadm -a -t '[2001:db8::10]:80' -r '[2001:db8:1234:5678:9abc:def0:1234:5678]:80' -g
ipvsadm -A -f 7 -s wlc
ipvsadm -a -f 7 -r 10.0.0.11 -g
ipvsadm -A -f 8 -6 -s wlc
ipvsadm -A --sctp-service 192.0.2.10:9
ipvsadm -A -t 192.0.2.14:0 -s rr -p 60
ipvsadm -a -t 192.0.2.14:0 -r 10.0.0.11 -g
ipvsadm --set 800 90 250
ipvsadm --start-daemon master --mcast-interface eth0 --syncid 7
ipvsadm --start-daemon backup --mcast-interface eth0 --syncid 8 --mcast-group 224.0.0.99 --mcast-port 9000 --mcast-ttl 3 --sync-maxlen 1000
`
	// Nobody is at these servers, so connections stay half open, for a minute.
	traffic = `
ip addr add 192.0.2.20/32 dev lo
ip addr add 2001:db8:77::1/64 dev eth0 nodad
ipvsadm -A -t 192.0.2.20:80 -s rr; ipvsadm -a -t 192.0.2.20:80 -r 10.77.0.250:80 -m
ipvsadm -A -u 192.0.2.20:53 -s rr -p 300; ipvsadm -a -u 192.0.2.20:53 -r 10.77.0.250:53 -m
ipvsadm -A -t '[2001:db8:77::1]:81' -s rr; ipvsadm -a -t '[2001:db8:77::1]:81' -r '[2001:db8:77::250]:81' -m
for i in 1 2 3; do curl -s -m1 http://192.0.2.20/ & done
curl -s -m1 'http://[2001:db8:77::1]:81/' &
bash -c 'echo x > /dev/udp/192.0.2.20/53'
wait
sleep 5 # the kernel adds up its counters every two seconds
`
)

// listings are commands that change nothing; connections live on, so their
// seconds are cut off.
var listings = []string{
	"-L -n", "-ln", "-Ln --stats", "-Ln --stats --exact", "-Ln --thresholds", "-Ln --persistent-conn", "-Ln --tun-info", "-Ln --sort",
	"-S -n", "-S", "-L", "", "-L --stats", "-L --timeout", "-l --timeout", "-L --daemon", "-Ln -t 192.0.2.10:80", "-Ln -f 8 -6", "-Ln --stats -u 192.0.2.20:53",
	"-lnc", "-Lnc", "-lcn", "-Lc", "-Lnc --persistent-conn",
}

// ipvsadmAlike runs Debian's ipvsadm and ours on one kernel: what either makes the
// other lists, to the same letters.
func ipvsadmAlike(t *testing.T, l *lab.Lab, n *lab.Node) {
	if _, err := n.Run(t.Context(), "sh", "-c", "command -v ipvsadm"); err != nil {
		t.Fatal("the lab needs Debian's ipvsadm (package ipvsadm): ", err)
	}
	crm, err := l.Put(l.Bin() + "/crm")
	must(t, err)
	shell(t, n, "modprobe -a ip_vs ip_vs_rr ip_vs_wrr ip_vs_wlc ip_vs_sh ip_vs_mh ip_vs_pe_sip && mkdir -p /run/ours && ln -sf "+crm+" /run/ours/ipvsadm")
	const theirs, ours = "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n", "PATH=/run/ours:/usr/sbin:/usr/bin:/sbin:/bin\n"
	shell(t, n, theirs+"set -e\n"+table+"set +e\n"+traffic)

	// A line that says nothing of the expiry of connections.
	show := func(path string) string {
		var script strings.Builder
		script.WriteString(path)
		for _, line := range listings {
			script.WriteString("echo '== ipvsadm " + line + "'; ipvsadm " + line + " 2>&1 | sed -E 's/^(TCP|UDP) [0-9]+:[0-9]+ /\\1 MM:SS /'\n")
		}
		return shell(t, n, script.String())
	}
	if diff := cmp.Diff(show(theirs), show(ours)); diff != "" {
		t.Errorf("Debian's ipvsadm and ours (-theirs +ours):\n%s", diff)
	}
	// Rates change from second to second; those of nothing do not.
	const rates = "ipvsadm -Z; ipvsadm -Ln --rate; ipvsadm -Ln --rate --exact"
	if diff := cmp.Diff(shell(t, n, theirs+rates), shell(t, n, ours+rates)); diff != "" {
		t.Errorf("rates (-theirs +ours):\n%s", diff)
	}

	made := shell(t, n, theirs+"ipvsadm -Sn; ipvsadm -Ln --thresholds; ipvsadm -L --timeout; ipvsadm -L --daemon")
	shell(t, n, theirs+"ipvsadm -Sn > /run/saved; ipvsadm -C; ipvsadm --stop-daemon master; ipvsadm --stop-daemon backup; ipvsadm --set 900 120 300")
	shell(t, n, ours+"set -e\n"+table+"set +e\n"+traffic)
	again := shell(t, n, theirs+"ipvsadm -Sn; ipvsadm -Ln --thresholds; ipvsadm -L --timeout; ipvsadm -L --daemon")
	uncounted := func(s string) string { // numbers of connections differ
		var out []string
		for _, line := range strings.Split(s, "\n") {
			if strings.Contains(line, "10.77.0.250") || strings.Contains(line, "77::250") {
				line = strings.Join(strings.Fields(line)[:2], " ")
			}
			out = append(out, line)
		}
		return strings.Join(out, "\n")
	}
	if diff := cmp.Diff(uncounted(made), uncounted(again)); diff != "" {
		t.Errorf("Debian's ipvsadm on the table ours made (-theirs +ours):\n%s", diff)
	}
	shell(t, n, ours+"ipvsadm -C && ipvsadm -R < /run/saved")
	if diff := cmp.Diff(shell(t, n, "cat /run/saved"), shell(t, n, theirs+"ipvsadm -Sn")); diff != "" {
		t.Errorf("restored by ours what Debian's saved (-saved +restored):\n%s", diff)
	}
	// Every way to be refused has the same exit status.
	for _, line := range []string{
		"-A -t 192.0.2.10:80", "-E -t 192.0.2.77:80 -s rr", "-D -t 192.0.2.77:80", "-d -t 192.0.2.10:80 -r 10.9.9.9:80", "-a -t 192.0.2.10:80 -r 10.0.0.11:80",
		"-a -t 192.0.2.77:80 -r 10.0.0.11:80", "-A -t 192.0.2.78:80 -s nosuch", "-A -t 192.0.2.78", "-A", "--stop-daemon master >/dev/null 2>&1; ipvsadm --stop-daemon master",
		"-Ln -t 192.0.2.99:80", "-A -t 192.0.2.10:80 -r 1.2.3.4", "-L -n extra", "-Z -t 192.0.2.10:80", "-C",
	} {
		status := func(path string) string { return shell(t, n, path+"ipvsadm "+line+" >/dev/null 2>&1; echo $?") }
		if a, b := status(theirs), status(ours); a != b && line != "-C" {
			t.Errorf("ipvsadm %s: Debian's exits with %s, ours with %s", line, strings.TrimSpace(a), strings.TrimSpace(b))
		}
	}
}
