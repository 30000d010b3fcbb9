package transport

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// peerKey is the context key under which ConnContext keeps the peer's name.
type peerKey struct{}

// ConnContext is for http.Server.ConnContext: it makes [RequestPeer] work.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, PeerName(c))
}

// RequestPeer is the verified name of the node that sent a request, "" where
// there is none (ProtoJoin, the local socket).
func RequestPeer(r *http.Request) string {
	name, _ := r.Context().Value(peerKey{}).(string)
	return name
}

// RoundTripper speaks HTTP over streams of f. The host of a URL is a node's
// name ("http://node2/rpc/order"); resolve gives its fabric address. The name
// is verified against the certificate at the other end.
func RoundTripper(f Fabric, p Proto, resolve func(node string) (addr string, ok bool)) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, hostport string) (net.Conn, error) {
			node, _, err := net.SplitHostPort(hostport)
			if err != nil {
				return nil, err
			}
			addr, ok := resolve(node)
			if !ok {
				return nil, fmt.Errorf("node %s: no address is known", node)
			}
			return f.Dial(ctx, addr, node, p)
		},
		MaxIdleConnsPerHost: maxIdlePerPeer,
		DisableCompression:  true,
	}
}

// maxIdlePerPeer keeps a few connections warm, so that an order after a quiet
// time pays no handshake; orders to one node seldom overlap more.
const maxIdlePerPeer = 4
