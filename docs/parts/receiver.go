// curl -so public-key.txt https://pay.example.com/public-key; go run receiver.go
package main

import (
	"cmp"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
)

func isSigned(fields url.Values, key *rsa.PublicKey) bool {
	var pairs []string
	for name := range fields {
		if name != "sign" && strings.Trim(fields.Get(name), " ") != "" {
			pairs = append(pairs, name)
		}
	}
	slices.Sort(pairs)
	for i, name := range pairs {
		pairs[i] = name + "=" + fields.Get(name)
	}
	sign, err := base64.StdEncoding.DecodeString(fields.Get("sign"))
	digest := sha256.Sum256([]byte(strings.Join(pairs, "&")))
	return err == nil && rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], sign) == nil
}

func main() {
	text, err := os.ReadFile("public-key.txt")
	if err != nil {
		log.Fatal(err)
	}
	der, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		log.Fatal(err)
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		log.Fatal(err)
	}
	key := parsed.(*rsa.PublicKey)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer := "fail"
		if r.ParseForm() == nil && isSigned(r.PostForm, key) && r.PostForm.Get("orderStatus") == "PAY_SUC" {
			// Look up appOrderNo, compare totalAmount, mark it paid unless it is already, commit; then answer.
			log.Println("paid", r.PostForm.Get("appOrderNo"), r.PostForm.Get("totalAmount"))
			answer = "success"
		}
		fmt.Fprint(w, answer)
	})
	log.Fatal(http.ListenAndServe(":"+cmp.Or(os.Getenv("PORT"), "9000"), nil))
}
