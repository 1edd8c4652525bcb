package login

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const longLink = "https://fhir.example/w/north/login/password?code=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func TestFileMailer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mail")
	mailer, err := OpenMailer("file:"+dir, "Bulkhead <noreply@example.org>")
	if err != nil {
		t.Fatal(err)
	}
	message := resetMail("Klinikum Süd\r\nBcc: eve@example.org", mailed{email: "ada@example.org", name: "Ada"}, longLink)
	for range 2 {
		if err := mailer.Send(t.Context(), message); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil || len(files) != 2 {
		t.Fatalf("got %v, %v", files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	checkMessage(t, string(text))
	if err := mailer.Send(t.Context(), Mail{To: "ada@example.org\r\nBcc: eve@example.org"}); err == nil {
		t.Error("an address with a header in it is taken")
	}
}

func checkMessage(t *testing.T, text string) {
	t.Helper()
	parsed, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
	if err != nil || subject != "Choose a new password for Klinikum Süd Bcc: eve@example.org" || parsed.Header.Get("Bcc") != "" {
		t.Errorf("got %q, %v, Bcc %q", subject, err, parsed.Header.Get("Bcc"))
	}
	if to := parsed.Header.Get("To"); to != "<ada@example.org>" || parsed.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("to %q", to)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(parsed.Body))
	if err != nil || !strings.Contains(string(body), longLink) {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestOpenMailerRefuses(t *testing.T) {
	t.Parallel()
	for target, from := range map[string]string{
		"smtp://mail.example:587": "nobody", "http://mail.example": "a@b.c", "file:": "a@b.c", "smtp://": "a@b.c", "smtp://u:secret@mail.example/x": "a@b.c", "": "a@b.c",
	} {
		if _, err := OpenMailer(target, from); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q from %q: %v", target, from, err)
		}
	}
	for target, port := range map[string]string{"smtp://u:p@mail.example": "587", "smtps://mail.example": "465", "smtp://mail.example:25": "25"} {
		mailer, err := OpenMailer(target, "a@b.c")
		if err != nil || mailer.(*SMTPMailer).Port != port {
			t.Errorf("%s: %+v, %v", target, mailer, err)
		}
	}
}

// postbox is a mail server that takes one message and hands over what it was told.
func postbox(t *testing.T, implicit, offersTLS bool) (port string, roots *x509.CertPool, got chan string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(certificate)
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	got = make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if implicit {
			conn = tls.Server(conn, config)
		}
		got <- converse(conn, config, offersTLS && !implicit)
	}()
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port, roots, got
}

// converse speaks as a mail server and returns the commands and the message.
func converse(conn net.Conn, config *tls.Config, offersTLS bool) string {
	var heard strings.Builder
	in := bufio.NewReader(conn)
	fmt.Fprint(conn, "220 ready\r\n")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return heard.String()
		}
		heard.WriteString(line)
		switch verb := strings.ToUpper(strings.Fields(line)[0]); verb {
		case "EHLO":
			if offersTLS {
				fmt.Fprint(conn, "250-localhost\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n")
			} else {
				fmt.Fprint(conn, "250-localhost\r\n250 AUTH PLAIN\r\n")
			}
		case "STARTTLS":
			fmt.Fprint(conn, "220 go\r\n")
			conn = tls.Server(conn, config)
			in, offersTLS = bufio.NewReader(conn), false
		case "AUTH":
			fmt.Fprint(conn, "235 fine\r\n")
		case "DATA":
			fmt.Fprint(conn, "354 go\r\n")
			for line != ".\r\n" && err == nil {
				line, err = in.ReadString('\n')
				heard.WriteString(line)
			}
			fmt.Fprint(conn, "250 taken\r\n")
		case "QUIT":
			fmt.Fprint(conn, "221 bye\r\n")
			return heard.String()
		default:
			fmt.Fprint(conn, "250 fine\r\n")
		}
	}
}

func TestSMTPMailer(t *testing.T) {
	t.Parallel()
	message := resetMail("Klinikum Süd\nBcc: eve@example.org", mailed{email: "ada@example.org", name: "Ada"}, longLink)
	for _, implicit := range []bool{false, true} {
		port, roots, got := postbox(t, implicit, true)
		mailer := &SMTPMailer{
			Host: "localhost", Port: port, User: "u", Password: "p", From: &mail.Address{Address: "noreply@example.org"},
			ImplicitTLS: implicit, TLS: &tls.Config{RootCAs: roots},
		}
		if err := mailer.Send(t.Context(), message); err != nil {
			t.Fatal(err)
		}
		heard := <-got
		if !strings.Contains(heard, "MAIL FROM:<noreply@example.org>") || !strings.Contains(heard, "RCPT TO:<ada@example.org>") || !strings.Contains(heard, "AUTH PLAIN") {
			t.Errorf("heard %q", heard)
		}
		_, text, _ := strings.Cut(heard, "DATA\r\n")
		text, _, _ = strings.Cut(text, "\r\n.\r\n")
		checkMessage(t, text)
	}
}

func TestSMTPMailerNeedsTLS(t *testing.T) {
	t.Parallel()
	message := Mail{To: "ada@example.org", Subject: "x", Text: longLink}
	from := &mail.Address{Address: "noreply@example.org"}
	port, _, got := postbox(t, false, false)
	if err := (&SMTPMailer{Host: "localhost", Port: port, From: from}).Send(t.Context(), message); err == nil {
		t.Error("sent without TLS")
	}
	if heard := <-got; strings.Contains(heard, "MAIL") {
		t.Errorf("heard %q", heard)
	}
	port, _, got = postbox(t, false, true)
	if err := (&SMTPMailer{Host: "localhost", Port: port, From: from}).Send(t.Context(), message); err == nil {
		t.Error("sent to a server whose certificate nobody vouches for")
	}
	if heard := <-got; strings.Contains(heard, "MAIL") {
		t.Errorf("heard %q", heard)
	}
}
