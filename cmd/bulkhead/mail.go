package main

import (
	"net/url"

	"github.com/spf13/cobra"

	"bulkhead/server/login"
)

// mailFlags say how mail leaves.
type mailFlags struct {
	target, from string
}

const mailHelp = `Mail leaves by --mail or BULKHEAD_MAIL: smtp://user:password@host:587 (STARTTLS, which is insisted on),
smtps://user:password@host:465, or file:DIR, which writes every message to a file there. A password
belongs in the environment. The sender is --mail-from or BULKHEAD_MAIL_FROM.`

func (f *mailFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.target, "mail", "", "how mail leaves: smtp://..., smtps://... or file:DIR (BULKHEAD_MAIL)")
	cmd.Flags().StringVar(&f.from, "mail-from", "", "sender of mail (BULKHEAD_MAIL_FROM; default noreply@ and the host of the base URL)")
}

// open returns the mailer, or nil when there is none.
func (f *mailFlags) open(p program, base string) (login.Mailer, error) {
	target, from := f.target, f.from
	if target == "" {
		target = p.getenv("BULKHEAD_MAIL")
	}
	if target == "" {
		return nil, nil
	}
	if from == "" {
		from = p.getenv("BULKHEAD_MAIL_FROM")
	}
	if from == "" {
		host := "localhost"
		if u, err := url.Parse(base); err == nil && u.Hostname() != "" {
			host = u.Hostname()
		}
		from = "Bulkhead <noreply@" + host + ">"
	}
	mailer, err := login.OpenMailer(target, from)
	if err != nil {
		return nil, usagef("%v", err)
	}
	return mailer, nil
}
