package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows on standard error how far something is: a bar on a terminal, elsewhere a line each
// ten seconds, so that a log stays readable. Its methods may be called from any goroutine.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	bar   *progressbar.ProgressBar // nil when w is no terminal
	total int64
	done  int64
	text  string
	start time.Time
	last  time.Time
}

// lineEvery is how often a log hears of progress.
const lineEvery = 10 * time.Second

// newProgress starts one; total is in bytes, 0 if it is not known.
func newProgress(w io.Writer, total int64, text string) *progress {
	p := &progress{w: w, total: total, text: text, start: time.Now(), last: time.Now()}
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		if total == 0 {
			total = -1
		}
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(text),
			progressbar.OptionShowBytes(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish())
	}
	return p
}

// add says that n more bytes are done.
func (p *progress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if p.bar != nil {
		p.bar.Add64(n) //nolint:errcheck // a bar that cannot be drawn hurts nobody
		return
	}
	if time.Since(p.last) < lineEvery {
		return
	}
	p.last = time.Now()
	share := ""
	if p.total > 0 {
		share = fmt.Sprintf(" %d %%", 100*p.done/p.total)
	}
	fmt.Fprintf(p.w, "%s:%s after %s\n", p.text, share, time.Since(p.start).Round(time.Second))
}

// note prints a line without tearing the bar.
func (p *progress) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Clear() //nolint:errcheck // as above
	}
	fmt.Fprintf(p.w, format+"\n", args...)
}

// finish takes the bar away.
func (p *progress) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Finish() //nolint:errcheck // as above
	}
}
