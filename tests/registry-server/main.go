// Command registry-server is a registry for tests: the code of the CNCF's distribution, in memory, with passwords or tokens.
package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	"github.com/distribution/distribution/v3/registry/auth/token"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/sirupsen/logrus"
	"golang.org/x/crypto/bcrypt"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve prints HOST:PORT and serves until it is ended.
func serve() error {
	login := flag.String("login", "", "NAME:PASSWORD of who may do everything; nobody else may do anything")
	tokens := flag.Bool("tokens", false, "ask for a token, which /token gives for the password")
	cert := flag.String("cert", "", "PEM")
	key := flag.String("key", "", "PEM")
	folder := flag.String("folder", "", "where files are written that the registry reads")
	flag.Parse()
	logrus.SetOutput(io.Discard)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	user, password, _ := strings.Cut(*login, ":")
	config := configuration.Configuration{Storage: configuration.Storage{"inmemory": nil}}
	config.HTTP.Secret = "of uploads"
	mux := http.NewServeMux()
	if *tokens {
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return err
		}
		keys := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: service}}}
		written, err := json.Marshal(keys)
		if err != nil {
			return err
		}
		file := filepath.Join(*folder, "keys.json")
		if err := os.WriteFile(file, written, 0o600); err != nil {
			return err
		}
		realm := "https://" + listener.Addr().String() + "/token"
		config.Auth = configuration.Auth{"token": {"realm": realm, "issuer": service, "service": service, "jwks": file}}
		mux.HandleFunc("/token", give(user, password, private))
	} else {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			return err
		}
		file := filepath.Join(*folder, "htpasswd")
		if err := os.WriteFile(file, []byte(user+":"+string(hash)+"\n"), 0o600); err != nil {
			return err
		}
		config.Auth = configuration.Auth{"htpasswd": {"realm": service, "path": file}}
	}
	mux.Handle("/", handlers.NewApp(context.Background(), &config))
	fmt.Println(listener.Addr())
	// Clients that go away are a part of the tests.
	server := http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}
	return server.ServeTLS(listener, *cert, *key)
}

// give gives whoever knows the password a token for what is asked, and for nothing else.
func give(user, password string, key ed25519.PrivateKey) http.HandlerFunc {
	options := (&jose.SignerOptions{}).WithHeader("kid", service)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, options)
	return func(w http.ResponseWriter, r *http.Request) {
		name, shown, _ := r.BasicAuth()
		if err != nil || name != user || shown != password || r.URL.Query().Get("service") != service {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		now := time.Now()
		claims := token.ClaimSet{
			Issuer: service, Subject: user, Audience: token.AudienceList{service},
			NotBefore: now.Unix(), IssuedAt: now.Unix(), Expiration: now.Add(time.Minute).Unix(),
		}
		for _, scope := range r.URL.Query()["scope"] {
			for _, one := range strings.Fields(scope) {
				if parts := strings.Split(one, ":"); len(parts) == 3 {
					actions := strings.Split(parts[2], ",")
					claims.Access = append(claims.Access, &token.ResourceActions{Type: parts[0], Name: parts[1], Actions: actions})
				}
			}
		}
		signed, err := jwt.Signed(signer).Claims(claims).Serialize()
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"token": signed, "expires_in": 60})
	}
}

const service = "tests"
