package probe

import (
	"context"
	"fmt"

	"github.com/miekg/dns"
)

// dns asks one question over UDP. A truncated answer is one: the server is well.
func (q *question) dns(ctx context.Context) (answer, error) {
	conn, err := q.dial(ctx, "udp")
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	ask := new(dns.Msg).SetQuestion(dns.Fqdn(q.Name), dns.StringToType[q.Type])
	packet, err := ask.Pack()
	if err != nil {
		return answer{}, fmt.Errorf("option name: %w", err)
	}
	if _, err := conn.Write(packet); err != nil {
		return answer{}, err
	}
	buf := make([]byte, maxAnswer)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return answer{}, err
		}
		reply := new(dns.Msg)
		if err := reply.Unpack(buf[:n]); err != nil {
			return answer{}, fmt.Errorf("answer: %w", err)
		}
		if reply.Id == ask.Id {
			return q.dnsReply(reply)
		}
	}
}

func (q *question) dnsReply(reply *dns.Msg) (answer, error) {
	if reply.Rcode != dns.RcodeSuccess {
		return answer{}, fmt.Errorf("%s for %s %s: wanted NOERROR", dns.RcodeToString[reply.Rcode], q.Name, q.Type)
	}
	if len(reply.Answer) == 0 && !reply.Truncated {
		return answer{}, fmt.Errorf("no record for %s %s", q.Name, q.Type)
	}
	if q.Regex == nil {
		return says("%d records", len(reply.Answer))
	}
	for _, record := range reply.Answer {
		if text := record.String(); q.Regex.MatchString(text) {
			return answer{text: clip(text)}, nil
		}
	}
	return answer{}, fmt.Errorf("none of %d records matches regex", len(reply.Answer))
}
