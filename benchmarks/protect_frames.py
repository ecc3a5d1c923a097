"""Sentences around values in more languages, and those that patterns were not made with.

``HELD`` was written after the patterns; what fails there is told and not mended.
"""

from __future__ import annotations

Frames = dict[str, dict[str, list[str]]]

MORE: Frames = {
    "EMAIL": {
        "nl": ["Stuur het contract naar {}, graag.", "Mijn adres is {}."],
        "pt": ["Mande a proposta para {} hoje.", "O e-mail {} não existe."],
        "pl": ["Proszę pisać na {}.", "Adres {} już nie działa."],
    },
    "PHONE": {
        "nl": ["Mijn nummer is {}.", "Bel {} na zessen."],
        "pt": ["Meu número é {}.", "Ligue {} amanhã."],
        "pl": ["Mój numer to {}.", "Zadzwoń: {}"],
        "en": ["My number is {}.", "Contact no: {}", "Text {} when you are there."],
        "de": ["Mobil: {}", "Unter {} bin ich erreichbar."],
        "fr": ["Mon numéro est le {}.", "Joignable au {}."],
        "es": ["Mi número es {}.", "Móvil: {}"],
        "it": ["Il mio numero è {}.", "Cell. {}"],
    },
    "IBAN": {"nl": ["Maak het over op {}."], "pt": ["Transfira para {}."], "pl": ["Konto {}."]},
    "CARD": {"nl": ["Kaart {} is geweigerd."], "pt": ["O cartão {} expirou."],
             "pl": ["Karta {} została zablokowana."]},
    "BIRTH": {
        "nl": ["Geboren op {} in Utrecht.", "Geboortedatum: {}"],
        "pt": ["Nascido em {} no Porto.", "Data de nascimento: {}"],
        "pl": ["Urodzony {} w Łodzi.", "Data urodzenia: {}"],
    },
    "PASSPORT": {"nl": ["Paspoortnummer {}."], "pt": ["Passaporte n.º {}."],
                 "pl": ["Numer paszportu: {}."]},
    "LICENCE": {"nl": ["Rijbewijs {} is geldig."], "pt": ["Carta de condução {}."],
                "pl": ["Prawo jazdy {}."]},
    "PASSWORD": {
        "en": ["The wifi password is {}.", "password: {}", "My password for the VPN is {}."],
        "de": ["Mein Passwort ist {}.", "Kennwort: {}"], "fr": ["Mot de passe : {}"],
        "es": ["La contraseña es {}."], "it": ["La password è {}."], "nl": ["Wachtwoord: {}"],
        "pt": ["A senha é {}."], "pl": ["Hasło: {}"],
    },
    "ID:nl": {"nl": ["Mijn BSN is {}."]}, "ID:pl": {"pl": ["PESEL: {}", "Jego numer {} zapisano."]},
    "ID:br": {"pt": ["CPF: {}"]}, "ID:se": {"en": ["Personal number {} was read out."]},
}  # fmt: skip
HELD: Frames = {
    "EMAIL": {
        "en": ["cc: {} (billing)", "bounce from <{}>; retrying"],
        "de": ["Kontakt – {} – genügt."],
        "fr": ["Répondre à {} svp"],
        "nl": ["CC {} erbij"],
        "pl": ["od: {}"],
    },
    "PHONE": {
        "en": [
            "You'll find me at {} most evenings.",
            "Emergency contact {} (wife)",
            "He left {} as his number.",
            "WhatsApp: {}",
        ],
        "de": ["Tel. privat: {}", "Bitte Rückruf unter {}."],
        "fr": ["Tél. : {}", "Contactez-nous au {}."],
        "es": ["Tel: {}", "Contacto: {}"],
        "it": ["Tel. {}", "Mi trovi al {}."],
        "nl": ["Telefonisch bereikbaar op {}."],
        "pt": ["Telemóvel: {}"],
        "pl": ["Telefon: {}"],
    },
    "IBAN": {"en": ["Beneficiary: J Roe / {} / EUR"], "de": ["Lastschrift von {} widerrufen."]},
    "CARD": {
        "en": ["card ending? no, whole: {}", "PAN={} approved"],
        "fr": ["CB : {}"],
        "es": ["Nº de tarjeta {}"],
    },
    "KEY": {
        "en": ["curl -H 'Authorization: Bearer {}' https://x.example", "it leaked: {}!"],
        "de": ["Im Log steht {} im Klartext."],
    },
    "BIRTH": {
        "en": ["She was born {}.", "Birthday {}"],
        "de": ["Geburtstag: {}"],
        "fr": ["Né à Lille le {}"],
        "es": ["Nacida en Cádiz el {}"],
        "it": ["Nata a Roma il {}"],
        "nl": ["Geb. datum: {}"],
        "pt": ["Nasceu em {}."],
        "pl": ["Ur. {}"],
    },
    "PASSPORT": {
        "en": ["Travelling on passport {}.", "Passport No. {}"],
        "de": ["Passnummer: {}"],
        "it": ["N. passaporto {}"],
        "es": ["Pasaporte nº {}"],
    },
    "LICENCE": {
        "en": ["DL {} (expired)", "His driver license is {}."],
        "de": ["Führerschein-Nr.: {}"],
        "fr": ["Permis de conduire n° {}"],
    },
    "PASSWORD": {
        "en": ["login jane password {}", "pw={} user=jane", "I changed my password to {}."],
        "de": ["Das Kennwort lautet {}."],
        "fr": ["Le mot de passe est {}."],
        "es": ["Contraseña: {}"],
        "pt": ["Senha: {}"],
        "nl": ["Het wachtwoord is {}."],
    },
    "ID:us": {"en": ["Her social security no. is {}.", "SSN: {}"]},
    "ID:uk": {"en": ["NI number {}"]},
    "ID:de": {"de": ["Steueridentifikationsnummer: {}"]},
    "ID:fr": {"fr": ["N° de sécurité sociale : {}"]},
    "ID:es": {"es": ["DNI núm. {}"]},
    "ID:it": {"it": ["C.F.: {}"]},
    "ID:nl": {"nl": ["Burgerservicenummer {}"]},
    "ID:pl": {"pl": ["Numer PESEL to {}."]},
    "ID:br": {"pt": ["Meu CPF é {}."]},
}
MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
          "diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre "
          "dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november "
          "december",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro "
          "dezembro",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października "
          "listopada grudnia",
}  # fmt: skip
PHONES = {
    "en": ["+1 415 5## ####", "(312) 5##-####", "020 7### ####", "+44 7### ######", "646-5##-####",
           "07700 9#####", "07700######", "04## ### ###", "+91 98### #####", "+65 9### ####",
           "087 3## ####", "+61 2 9### ####"],
    "de": ["+49 30 ########", "0171 #######", "089/######", "+49 (0)221 ######", "0151 2#######",
           "0664 3######", "044 6## ## ##", "+43 1 #######"],
    "fr": ["06 ## ## ## ##", "+33 1 ## ## ## ##", "06########", "01.##.##.##.##", "022 7## ## ##",
           "+32 470 ## ## ##"],
    "es": ["612 ### ###", "+34 91 ### ####", "93#######", "6## ## ## ##", "+52 55 #### ####",
           "612######"],
    "it": ["347 ### ####", "+39 06 ########", "333#######", "02 #######", "06 6### ####"],
    "nl": ["06-########", "020 ### ####", "+31 6 ########", "06 #### ####"],
    "pt": ["(11) 9####-####", "91# ### ###", "+351 91# ### ###", "11 9####-####"],
    "pl": ["512 ### ###", "+48 512 ### ###", "22 ### ## ##", "512######"],
}  # fmt: skip
HELD_PHONES = {
    "en": [
        "1-312-5##-####",
        "+1 (646) 5##-####",
        "0161 4## ####",
        "+27 82 ### ####",
        "0131-5##-####",
        "415.5##.####",
        "+353 1 4## ####",
        "03 9### ####",
    ],
    "de": ["0211-######", "+49-170-#######", "(0351) ######", "+41 79 ### ## ##", "030/########"],
    "fr": ["07-##-##-##-##", "+33 6########", "04 ## ## ## ##", "+352 6## ### ###"],
    "es": ["+34 6########", "91-###-##-##", "7## ### ###", "+57 3## ### ####"],
    "it": ["+39 3## #######", "051-######", "380 #######"],
    "nl": ["+31 20 ### ####", "010-#######", "0031 6 ########"],
    "pt": ["+55 21 9####-####", "21 ### ## ##", "+351 2########"],
    "pl": ["+48 22 ### ## ##", "6##-###-###", "(22) ### ## ##"],
}
KEYS = [
    "AKIA<16>",
    "ghp_[36]",
    "sk-proj-[40]",
    "xoxb-#{12}-[24]",
    "AIza[35]",
    "glpat-[20]",
    "sk_live_[24]",
    "hf_(34)",
    "npm_[36]",
    "eyJ[20].eyJ[40].[43]",
    "ASIA<16>",
    "sk-ant-api03-[93]",
    "github_pat_[22]_[59]",
    "SG.[22].[43]",
    "shpat_{32}",
    "dop_v1_{64}",
    "gsk_[52]",
    "xai-[80]",
    "r8_[37]",
    "dapi{32}",
    "hvs.[24]",
    "lin_api_[40]",
    "AC{32}",
    "sq0atp-[22]",
    "dckr_pat_[27]",
    "figd_[40]",
    "PMAK-{24}-{34}",
    "glsa_[32]_{8}",
    "sbp_{40}",
    "pplx-[48]",
    "pul-{40}",
    "key-{32}",
]
HELD_KEYS = [
    "gho_[36]",
    "ghs_[36]",
    "xapp-1-[20]",
    "rk_live_[24]",
    "sk_test_[24]",
    "whsec_[32]",
    "ya29.[60]",
    "GOCSPX-[28]",
    "pypi-AgEI[60]",
    "shpss_{32}",
    "NRAK-<27>",
    "ntn_[46]",
    "ATATT3xFfGF0[60]",
    "pscale_tkn_[43]",
    "dp.pt.[43]",
    "doo_v1_{64}",
]
PASSWORDS = ["Zx81spectrum", "hunter22!", "Tr0ub4dor&3x", "Sommer2024!", "qW3rty#77", "Pa55w0rd.x1"]
HELD_PASSWORDS = ["m0nkey-Island", "xK9$vLq2", "Verano_2023", "tiger#lily"]
