package server

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// ridGenerator makes row numbers of resources: milliseconds since 1970, then 21 bits. They rise
// within one program and nearly so over several; two programs that hit on the same number in one
// project and type are told by the unique key and try another.
type ridGenerator struct{ last atomic.Int64 }

const ridBits = 21

func (g *ridGenerator) next() int64 {
	// The lower half of the range begins at random, the upper half is left for counting.
	fresh := time.Now().UnixMilli()<<ridBits | rand.Int64N(1<<(ridBits-1))
	for {
		last := g.last.Load()
		next := max(last+1, fresh)
		if g.last.CompareAndSwap(last, next) {
			return next
		}
	}
}
