package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// tcp connects; what is sent and expected after that is the check's.
func (q *question) tcp(ctx context.Context) (answer, error) {
	conn, err := q.stream(ctx)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if len(q.Send) > 0 {
		if _, err := conn.Write(q.Send); err != nil {
			return answer{}, err
		}
	}
	if q.Expect.Empty() {
		return says("connected")
	}
	var got []byte
	chunk := make([]byte, 4<<10)
	for len(got) < maxAnswer {
		n, err := conn.Read(chunk)
		if got = append(got, chunk[:n]...); q.Expect.Match(got) {
			return says("the answer matches")
		}
		if err != nil && (len(got) == 0 || !errors.Is(err, io.EOF)) {
			return answer{}, err
		}
		if err != nil {
			break
		}
	}
	return answer{}, mismatchError(clip(string(got)))
}

// udp: silence is consent unless an answer is expected, and an ICMP error is
// the refusal of the connected socket (ip(7), IP_RECVERR).
func (q *question) udp(ctx context.Context) (answer, error) {
	conn, err := q.dial(ctx, "udp")
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if _, err := conn.Write(q.Send); err != nil {
		return answer{}, err
	}
	return q.datagrams(conn)
}

func (q *question) datagrams(conn net.Conn) (answer, error) {
	other, buf := "", make([]byte, maxAnswer)
	for {
		n, err := conn.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && q.Expect.Empty():
			return says("no ICMP error within %s", q.Timeout)
		case errors.Is(err, os.ErrDeadlineExceeded) && other != "":
			return answer{}, mismatchError(other)
		case err != nil:
			return answer{}, err
		case q.Expect.Empty():
			return says("answered with %d bytes", n)
		case q.Expect.Match(buf[:n]):
			return says("the answer matches")
		}
		other = clip(string(buf[:n]))
	}
}

// mismatchError is an answer other than the expected.
type mismatchError string

func (m mismatchError) Error() string {
	return fmt.Sprintf("the answer %q does not match expect", string(m))
}
