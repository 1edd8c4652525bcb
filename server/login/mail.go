package login

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Mail is one message of plain text.
type Mail struct {
	To      string // an address that PutUser has let in
	Subject string
	Text    string
}

// Mailer sends mail. Send returns when the message is handed over.
type Mailer interface {
	Send(ctx context.Context, message Mail) error
}

// OpenMailer makes the mailer that a URL names:
//
//	file:DIRECTORY                    every message becomes a .eml file there; for development
//	smtp://[user:password@]host:587   STARTTLS, without which nothing is sent
//	smtps://[user:password@]host:465  TLS from the first byte
//
// from is the sender's address, with or without a name: "Bulkhead <noreply@example.org>".
func OpenMailer(target, from string) (Mailer, error) {
	sender, err := mail.ParseAddress(from)
	if err != nil || !validEmail(sender.Address) {
		return nil, fmt.Errorf("mail: %q is not a sender's address", from)
	}
	if dir, ok := strings.CutPrefix(target, "file:"); ok && dir != "" {
		return &FileMailer{Dir: dir, From: sender}, nil
	}
	u, err := url.Parse(target)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Path != "" || u.RawQuery != "" {
		return nil, errors.New("mail: the mailer must be file:DIRECTORY, smtp://host:port or smtps://host:port") // the URL may hold a password
	}
	m := &SMTPMailer{Host: u.Hostname(), Port: u.Port(), From: sender, ImplicitTLS: u.Scheme == "smtps"}
	if m.Port == "" {
		m.Port = map[bool]string{false: "587", true: "465"}[m.ImplicitTLS]
	}
	if u.User != nil {
		m.User = u.User.Username()
		m.Password, _ = u.User.Password()
	}
	return m, nil
}

// FileMailer writes each message to a file of its own, readable by its owner only.
type FileMailer struct {
	Dir  string // made when it is missing
	From *mail.Address
}

// Send writes the message.
func (m *FileMailer) Send(_ context.Context, message Mail) error {
	if err := os.MkdirAll(m.Dir, 0o700); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	now := time.Now()
	name := filepath.Join(m.Dir, now.UTC().Format("20060102T150405.000000000")+"-"+randomHex(4)+".eml")
	text, err := message.format(m.From, now)
	if err == nil {
		err = os.WriteFile(name, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	return nil
}

// SMTPMailer hands messages to a mail server (RFC 5321, 6409). Without TLS nothing is sent: the
// links in the messages open accounts.
type SMTPMailer struct {
	Host, Port     string
	User, Password string // "" sends without signing in
	From           *mail.Address
	ImplicitTLS    bool        // TLS from the first byte (RFC 8314), else STARTTLS (RFC 3207)
	TLS            *tls.Config // nil: the system's roots, and Host as the name
}

const smtpTimeout = 30 * time.Second

// Send speaks one SMTP session of 30 seconds at most.
func (m *SMTPMailer) Send(ctx context.Context, message Mail) error {
	text, err := message.format(m.From, time.Now())
	if err == nil {
		err = m.send(ctx, message.To, text)
	}
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	return nil
}

func (m *SMTPMailer) send(ctx context.Context, to string, text []byte) error {
	ctx, cancel := context.WithTimeout(ctx, smtpTimeout)
	defer cancel()
	client, err := m.dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	if m.User != "" {
		if err := client.Auth(smtp.PlainAuth("", m.User, m.Password, m.Host)); err != nil {
			return err
		}
	}
	if err := client.Mail(m.From.Address); err != nil {
		return err
	}
	if err := client.Rcpt(to); err != nil {
		return err
	}
	body, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := body.Write(text); err != nil {
		return err
	}
	if err := body.Close(); err != nil {
		return err
	}
	_ = client.Quit() // the message is handed over
	return nil
}

// dial connects and brings up TLS.
func (m *SMTPMailer) dial(ctx context.Context) (*smtp.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if m.TLS != nil {
		config = m.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = m.Host
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(m.Host, m.Port))
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if m.ImplicitTLS {
		conn = tls.Client(conn, config)
	}
	client, err := smtp.NewClient(conn, m.Host)
	if err == nil && !m.ImplicitTLS {
		if ok, _ := client.Extension("STARTTLS"); !ok {
			err = errors.New("the server does not offer STARTTLS")
		} else {
			err = client.StartTLS(config)
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return client, nil
}

// format writes the message as RFC 5322 wants it.
func (m Mail) format(from *mail.Address, now time.Time) ([]byte, error) {
	if !validEmail(m.To) {
		return nil, errors.New("not an address")
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	var b bytes.Buffer
	header := func(name, value string) { b.WriteString(name + ": " + value + "\r\n") }
	header("From", from.String())
	header("To", "<"+m.To+">")
	header("Subject", mime.QEncoding.Encode("utf-8", oneLine(m.Subject)))
	header("Date", now.Format(time.RFC1123Z))
	header("Message-ID", "<"+randomHex(16)+"@"+domain+">")
	header("Auto-Submitted", "auto-generated") // RFC 3834: no vacation answers, please
	header("MIME-Version", "1.0")
	header("Content-Type", `text/plain; charset="utf-8"`)
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(strings.ReplaceAll(m.Text, "\n", "\r\n"))); err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
}

// oneLine keeps a text from ending a header line.
func oneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}

func randomHex(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}

func greeting(name string) string {
	if name = oneLine(name); name == "" {
		return "Hello,\n\n"
	}
	return "Hello " + name + ",\n\n"
}

func invitationMail(tenant string, to mailed, link string) Mail {
	tenant = oneLine(tenant)
	return Mail{To: to.email, Subject: "Your account at " + tenant, Text: greeting(to.name) +
		"an account has been made for you at " + tenant + ". Choose your password here:\n\n" + link + "\n\n" +
		"The link is good once, and for seven days. If you did not expect this message, do nothing: without a password nobody can use the account.\n"}
}

func resetMail(tenant string, to mailed, link string) Mail {
	tenant = oneLine(tenant)
	return Mail{To: to.email, Subject: "Choose a new password for " + tenant, Text: greeting(to.name) +
		"someone, probably you, asked for a new password for your account at " + tenant + ". Choose it here:\n\n" + link + "\n\n" +
		"The link is good once, and for 30 minutes. If it was not you, do nothing: your password stays as it is.\n"}
}

func noticeMail(tenant, to, name, what string) Mail {
	tenant = oneLine(tenant)
	return Mail{To: to, Subject: what + " at " + tenant, Text: greeting(name) +
		what + " for your account at " + tenant + ".\n\n" +
		"If it was not you, choose a new password at once with \"Forgot your password?\" on the sign-in page, and tell an administrator.\n"}
}
