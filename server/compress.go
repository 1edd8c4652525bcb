package server

import (
	"compress/gzip"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
)

// compressFrom is the length in bytes from which an answer is worth packing.
const compressFrom = 1400

// packers are reused: one has 800 kB of tables. Level 1, because level 6 costs three times the CPU
// for a tenth fewer bytes of JSON.
var packers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return w
}}

// takesGzip tells whether an Accept-Encoding header wants gzip (RFC 9110 section 12.5.3).
func takesGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil || coding != "gzip" && coding != "*" {
			continue
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		return err != nil || q > 0
	}
	return false
}

// send writes a body, packed when the client takes it and it is long enough.
func (r *request) send(status int, body string) error {
	h := r.Response().Header()
	h.Add(echo.HeaderVary, echo.HeaderAcceptEncoding)
	if len(body) < compressFrom || !takesGzip(r.Request().Header.Get(echo.HeaderAcceptEncoding)) {
		h.Set(echo.HeaderContentLength, strconv.Itoa(len(body)))
		r.Response().WriteHeader(status)
		if r.Request().Method == http.MethodHead {
			return nil
		}
		_, err := io.WriteString(r.Response(), body)
		return err
	}
	h.Set(echo.HeaderContentEncoding, "gzip")
	r.Response().WriteHeader(status)
	if r.Request().Method == http.MethodHead {
		return nil
	}
	w := packers.Get().(*gzip.Writer)
	defer packers.Put(w)
	w.Reset(r.Response())
	if _, err := io.WriteString(w, body); err != nil {
		return err
	}
	return w.Close()
}
