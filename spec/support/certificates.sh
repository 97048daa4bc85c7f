# Makes, in the folder that is its working directory, certificates of every kind: NAME.pem, all with the key in key.pem
# unless it says otherwise.
set -e

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

# authority NAME [ISSUER]
authority() {
  new_key "$1.key"
  openssl req -new -key "$1.key" -subj "/O=neap specs/CN=$1" -out request
  printf 'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n' >extensions
  sign "$1" "${2-}" "$1.key" 20200101000000Z 20990101000000Z
}

# sign NAME ISSUER KEY FROM TO: what is in the files request and extensions. Without an issuer by its own key.
sign() {
  : >index
  openssl rand -hex 16 >serial
  if [ -n "$2" ]; then signer="-cert $2.pem -keyfile $2.key"; else signer="-selfsign -keyfile $3"; fi
  openssl ca -config ca.cnf -batch -notext $signer -startdate "$4" -enddate "$5" -extfile extensions -in request \
    -out "$1.pem" 2>>log
}

# leaf NAME ISSUER EXTENSIONS [FROM TO]
leaf() {
  openssl req -new -key key.pem -subj "/O=neap specs/CN=$1" -out request
  printf "$3\n" >extensions
  sign "$1" "$2" key.pem "${4-20200101000000Z}" "${5-20990101000000Z}"
}

cat >ca.cnf <<'CONF'
[ca]
default_ca = specs
[specs]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
organizationName = optional
commonName = supplied
CONF

names=subjectAltName=DNS:localhost,DNS:example.org,DNS:*.wild.org,IP:127.0.0.1,IP:::1
new_key key.pem
new_key other.key
authority root
authority stranger
authority middle root
leaf good root "$names"
leaf wrong root subjectAltName=DNS:other.org,DNS:more.org
leaf address root subjectAltName=IP:10.0.0.1
leaf nameless root basicConstraints=CA:false
leaf expired root "$names" 20200101000000Z 20210615000000Z
leaf future root "$names" 20500101000000Z 20990101000000Z
leaf strange stranger "$names"
leaf alone "" "$names"
leaf under middle "$names"
leaf purpose root "$names\nextendedKeyUsage=clientAuth"
leaf server root "$names\nextendedKeyUsage=serverAuth"
leaf client root extendedKeyUsage=clientAuth
leaf intruder stranger extendedKeyUsage=clientAuth
leaf outdated root extendedKeyUsage=clientAuth 20200101000000Z 20210615000000Z
leaf second root subjectAltName=DNS:second.org
cat under.pem middle.pem >chain.pem
cat good.pem key.pem >both.pem
openssl pkcs8 -topk8 -in key.pem -passout pass:secret -out locked.key
