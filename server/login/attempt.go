package login

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
)

// counter is one thing that attempts are counted by: free of them in a window that begins with the
// first, then each makes the next wait, longer and longer, up to 15 minutes. Nobody is locked out for good, since that
// would let a stranger lock anyone out.
type counter struct {
	kind   string
	free   int32
	window time.Duration
}

var (
	byEmail     = counter{"sign in", 8, 24 * time.Hour}     // passwords tried for one e-mail address, whether or not anyone has it
	byDevice    = counter{"device", 8, 24 * time.Hour}      // the same in a browser in which they signed in before
	byAddress   = counter{"address", 60, time.Hour}         // passwords tried from one network address; a hospital has few
	byPerson    = counter{"code", 5, 24 * time.Hour}        // codes tried for one person; the password was right
	byReset     = counter{"reset", 3, time.Hour}            // mails asked for to one e-mail address
	byResetFrom = counter{"reset address", 20, time.Hour}   // mails asked for from one network address
	byConfirm   = counter{"confirm password", 8, time.Hour} // passwords tried by someone who is signed in
)

// counted is a counter for one value.
type counted struct {
	counter
	key []byte
}

func (p *People) count(tenant int32, by counter, value string) counted {
	mac := hmac.New(sha256.New, p.counts)
	mac.Write(binary.BigEndian.AppendUint32(nil, uint32(tenant)))
	mac.Write([]byte(by.kind + "\x00" + value))
	return counted{by, mac.Sum(nil)}
}

// BlockedError says that something was tried too often.
type BlockedError struct{ Until time.Time }

func (e *BlockedError) Error() string {
	return fmt.Sprintf("too many attempts; blocked until %s", e.Until.UTC().Format(time.RFC3339))
}

// attempt counts one attempt, before it is known whether it is rightful: many at once cannot slip
// through together. Errors: *BlockedError, and then nothing was counted.
func (p *People) attempt(ctx context.Context, tenant int32, by ...counted) error {
	slices.SortFunc(by, func(a, b counted) int { return bytes.Compare(a.key, b.key) }) // all lock in one order
	args := dbsqlc.TakeAttemptParams{TenantID: tenant}
	locks := make([]string, len(by))
	for i, c := range by {
		args.Keys = append(args.Keys, c.key)
		args.Free = append(args.Free, c.free)
		args.WindowSeconds = append(args.WindowSeconds, int32(c.window/time.Second))
		locks[i] = "attempt " + hex.EncodeToString(c.key[:8])
	}
	return p.update(ctx, tenant, func(tx *db.Tx) error {
		if _, err := tx.SearchAll(ctx, locks, nil); err != nil {
			return err
		}
		until, err := tx.Last().TakeAttempt(ctx, args)
		if err == nil && until.Unix() > 0 {
			err = &BlockedError{Until: until}
		}
		return err
	})
}

// forgive takes back an attempt that was rightful: nothing of own is remembered, of shared, which may
// be counted{}, all but
// this one.
func forgive(ctx context.Context, q *dbsqlc.Queries, tenant int32, own, shared counted) error {
	return q.ForgiveAttempt(ctx, tenant, shared.key, own.key)
}

// networkOf is what attempts from an address are counted by: an IPv4 address, or the /64 of an IPv6
// one, which is what one customer gets.
func networkOf(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ""
	}
	return prefix.String()
}

// blocked tells whether err is a *BlockedError, and for how long.
func blocked(err error) (wait time.Duration, is bool) {
	var b *BlockedError
	if !errors.As(err, &b) {
		return 0, false
	}
	return max(time.Until(b.Until), time.Second), true
}
