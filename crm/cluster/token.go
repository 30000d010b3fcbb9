package cluster

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"time"

	"systole/crm/api"
	"systole/crm/exit"
	"systole/crm/transport"
)

// A token is typed or pasted by a person, so it carries its own check sum:
//
//	systole1-base64url( id 8 | secret 16 | CA fingerprint 32 | issuer's name | crc32 4 )
const (
	tokenPrefix = "systole1-"
	tokenID     = 8
	tokenSecret = 16
	tokenFixed  = tokenID + tokenSecret + sha256.Size
)

// token is one parsed.
type token struct {
	id     [tokenID]byte
	secret Secret
	ca     transport.Fingerprint
	issuer string // name of the node that remembers it
}

func newToken(issuer string, ca transport.Fingerprint) token {
	return token{[tokenID]byte(random(tokenID)), random(tokenSecret), ca, issuer}
}

// text is the token as it is handed to people. It is the only place a token is spelled out.
func (t token) text() string {
	b := slices.Concat(t.id[:], t.secret, t.ca[:], []byte(t.issuer))
	sum := crc32.ChecksumIEEE(b)
	b = append(b, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// errToken does not repeat what was read: it may be nearly right.
var errToken = errors.New("this is not a whole join token: copy the line that \"crm cluster token\" printed, from systole1- to its end")

func parseToken(text string) (token, error) {
	coded, ok := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	if !ok || strings.ContainsAny(coded, "\r\n") { // base64 would pass over them
		return token{}, errToken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(coded)
	if err != nil || len(b) < tokenFixed+1+4 {
		return token{}, errToken
	}
	b, sum := b[:len(b)-4], b[len(b)-4:]
	want := crc32.ChecksumIEEE(b)
	if !bytes.Equal(sum, []byte{byte(want >> 24), byte(want >> 16), byte(want >> 8), byte(want)}) {
		return token{}, errToken
	}
	t := token{
		id: [tokenID]byte(b), secret: slices.Clone(b[tokenID : tokenID+tokenSecret]),
		ca: transport.Fingerprint(b[tokenID+tokenSecret : tokenFixed]), issuer: string(b[tokenFixed:]),
	}
	if CheckName(t.issuer) != nil {
		return token{}, errToken
	}
	return t, nil
}

// maxTokenLine bounds what ReadToken reads.
const maxTokenLine = 1024

// ReadToken reads a token from the first line of r: standard input or a token
// file. The terminal's prompt is the caller's.
func ReadToken(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxTokenLine)).ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return "", fmt.Errorf("read the token: %w", err)
	}
	if _, err := parseToken(line); err != nil {
		return "", err
	}
	return strings.TrimSpace(line), nil
}

// issued is what the issuing node remembers of a token: enough to recognise it,
// not to make it. A plain hash does, since the secret has 128 random bits.
type issued struct {
	ID      string    `json:"id"` // hex
	Hash    string    `json:"hash"`
	Expires time.Time `json:"expires"`
	UsedBy  string    `json:"used_by,omitempty"`
	Used    time.Time `json:"used,omitzero"`
}

// maxIssued bounds the tokens remembered; nobody adds that many nodes in a day.
const maxIssued = 100

func (t token) issued(expires time.Time) issued {
	sum := sha256.Sum256(t.secret)
	return issued{ID: hex.EncodeToString(t.id[:]), Hash: hex.EncodeToString(sum[:]), Expires: expires}
}

// forgetExpired drops tokens a day after their end, so that till then "expired" and "used" can be told apart.
func forgetExpired(all []issued, now time.Time) []issued {
	return slices.DeleteFunc(slices.Clone(all), func(i issued) bool { return now.After(i.Expires.Add(24 * time.Hour)) })
}

// spend checks a token and marks it used by node; the result replaces the list.
func spend(all []issued, id string, secret Secret, node string, now time.Time) ([]issued, error) {
	all = slices.Clone(all)
	for i := range all {
		e := &all[i]
		if e.ID != id {
			continue
		}
		sum := sha256.Sum256(secret)
		switch {
		case subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(e.Hash)) != 1:
			return nil, refuse(api.CodePrivilege, "the join token is wrong: copy it again, or make a new one with \"crm cluster token\"")
		case e.UsedBy != "":
			return nil, refuse(api.CodePrivilege, "the join token was used by %s at %s: make a new one with \"crm cluster token\"", e.UsedBy, e.Used.UTC().Format(time.RFC3339))
		case now.After(e.Expires):
			return nil, refuse(int(exit.Expired), "the join token expired at %s: make a new one with \"crm cluster token\"", e.Expires.UTC().Format(time.RFC3339))
		}
		e.UsedBy, e.Used = node, now.UTC().Truncate(time.Second)
		return all, nil
	}
	return nil, refuse(api.CodePrivilege, "the join token is not known here: it is older than a day, or was made before this node joined; make a new one with \"crm cluster token\"")
}
