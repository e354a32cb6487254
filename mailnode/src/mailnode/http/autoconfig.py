"""The settings document that mail clients ask a domain for.

For: clients that know only an address; Delta Chat asks for it when no hosts are given.
Not for: QR codes, which carry the settings themselves (login_url.py).

Source: https://www.ietf.org/archive/id/draft-ietf-mailmaint-autoconfig-00.html
"""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mailnode.http.site import MailEndpoint, Security, Site

SOCKET_TYPES = {Security.SSL: "SSL", Security.STARTTLS: "STARTTLS"}


def build_autoconfig(site: Site) -> bytes:
    """Build the XML document; the endpoints stand in the site's order, which is the order of preference."""
    root = Element("clientConfig", version="1.1")
    provider = SubElement(root, "emailProvider", id=site.mail_domain)
    SubElement(provider, "domain").text = site.mail_domain
    SubElement(provider, "displayName").text = site.name
    SubElement(provider, "displayShortName").text = site.name
    for endpoint in site.imap:
        _add_endpoint(SubElement(provider, "incomingServer", type="imap"), endpoint)
    for endpoint in site.smtp:
        _add_endpoint(SubElement(provider, "outgoingServer", type="smtp"), endpoint)
    indent(root)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _add_endpoint(parent: Element, endpoint: MailEndpoint) -> None:
    SubElement(parent, "hostname").text = endpoint.host
    SubElement(parent, "port").text = str(endpoint.port)
    SubElement(parent, "socketType").text = SOCKET_TYPES[endpoint.security]
    SubElement(parent, "authentication").text = "password-cleartext"
    SubElement(parent, "username").text = "%EMAILADDRESS%"
