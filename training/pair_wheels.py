"""More wheels whose Python functions the encoders learn from, besides those of pair_sources.WHEELS."""

WHEELS = """
    acme==5.9.0 adafruit_blinka==10.0.0 adlfs==2026.8.0 affine==3.0.1 aicsimageio==4.14.0 aioboto3==15.5.0
    aiobotocore==3.10.0 aiofiles==25.1.0 aiokafka==0.14.0 aiomysql==0.3.2 aiopg==1.4.0 aioredis==2.0.1
    aiosmtpd==1.4.6 aiosqlite==0.22.1 airium==0.3.2 albumentations==2.0.8 alembic==1.20.1
    allure_python_commons==2.16.2 alpha_vantage==3.0.0 ansible_runner==2.4.3
    antlr4_python3_runtime==4.13.2 antropy==0.2.3 appium_python_client==6.0.9 approvaltests==20.0.1
    arch==8.0.0 argh==0.31.3 argon2_cffi==25.1.0 asciimatics==1.15.0 astroid==4.3.4 astropy_healpix==2.0.1
    asttokens==3.0.2 astunparse==1.6.3 asyncclick==8.4.2.1 asyncpg==0.32.0 atlassian_python_api==5.0.5
    autoflake==2.4.0 autogen_agentchat==0.7.5 awkward==2.14.0 aws_lambda_powertools==3.37.0
    aws_xray_sdk==2.15.0 ax_platform==1.3.1 azure_eventhub==5.15.1 azure_keyvault_secrets==4.12.0
    babelfish==0.6.1 bandit==1.9.4 baron==0.10.1 beanie==2.2.0 beartype==0.23.1 beniget==0.5.0
    betamax==0.9.0 bidict==0.24.1 biotite==1.6.0 bitcoinlib==0.7.10 bitstring==5.0.0 blackjax==1.7.1
    bleak==3.1.0 blessed==1.52.0 bpython==0.26 bqplot==0.13.1 build123d==0.13.0 cantools==45.1.0
    cement==3.0.16 censys==2.3.0 certbot==5.8.0 cf_xarray==0.11.3 cffi==2.1.1 chalice==1.34.0
    chardet==7.7.0 charset_normalizer==3.5.2 check_manifest==0.51 chemicals==1.5.2 chevron==0.14.0
    chex==0.1.92 chromadb==1.5.9 circus==0.19.0 cirq_google==1.7.0 click_plugins==1.1.1.2
    click_repl==0.4.1 clickhouse_connect==1.12.0 clickhouse_driver==0.2.11 cligj==0.7.2 clize==5.0.2
    cloudpickle==3.1.2 cmocean==4.0.3 coffea==2026.9.0 colander==2.0 colorspacious==1.1.2
    colorthief==0.2.1 compressed_rtf==1.0.7 confection==1.3.4 configargparse==1.9.0 configparser==7.3.0
    confluent_kafka==2.16.1 construct==2.10.70 contextily==1.7.1 cosmic_ray==8.7.0 crccheck==1.3.1
    croniter==7.0.0 cssutils==2.15.0 currencyconverter==0.18.23 customtkinter==6.0.0 dask_jobqueue==0.9.0
    dask_ml==2025.1.0 dataclasses_json==0.6.7 datasets==5.2.0 datashader==0.19.1 dateutils==0.6.12
    dbt_core==1.12.6 dendropy==5.1.3 deprecated==1.3.1 dicom2nifti==2.6.2 diffrax==0.7.2 diffusers==0.42.1
    django_autocomplete_light==5.0.0 django_braces==1.17.0 django_celery_beat==2.9.0
    django_ckeditor==6.7.4 django_compressor==4.6.0 django_constance==4.4.0 django_cors_headers==4.9.0
    django_crispy_forms==2.7 django_csp==4.0 django_filer==3.6.0 django_filter==26.2 django_formtools==2.7
    django_import_export==4.4.3 django_lifecycle==1.3.0 django_model_utils==5.0.0
    django_modeltranslation==0.20.6 django_money==3.6.2 django_ninja==1.7.1 django_picklefield==3.4.0
    django_pipeline==4.1.0 django_q2==1.11.1 django_reversion==6.4.0 django_rosetta==0.10.3
    django_ses==4.8.2 django_silk==5.6.0 django_storages==1.14.6 django_tables2==3.0.1
    django_tinymce==5.0.0 django_treebeard==7.0.3 django_waffle==5.0.0 dlt==1.31.0 dm_tree==0.1.10
    dnslib==0.9.26 docx2txt==0.9 doit==0.37.0 dotmap==1.3.30 drf_spectacular==0.30.0 drf_yasg==1.21.18
    dtale==3.22.0 duckdb_engine==0.17.0 duckduckgo_search==8.1.1 dynesty==3.1.0 easydict==1.14
    easyocr==1.7.2 eccodes==2.50.0 ecdsa==0.19.2 elasticsearch_dsl==8.18.0 emcee==3.1.6 environs==15.2.0
    eth_abi==6.0.0 eth_keys==0.8.0 eth_utils==6.0.0 evaluate==0.4.6 eventlet==0.41.3 eventsourcing==9.5.6
    everett==3.5.0 factory_boy==3.3.3 fake_useragent==2.2.0 fasteners==0.20 faust_streaming==0.15.3
    featuretools==1.31.0 feedparser==6.0.14 ffn==1.4.1 filterpy==2.0.0 fire==0.7.1 firebase_admin==7.7.0
    flake8==7.5.0 flask_admin==2.2.1 flask_appbuilder==5.3.0 flask_babel==4.0.0 flask_caching==2.5.1
    fluids==1.3.1 freetype_py==2.5.1 freezegun==1.5.5 ftfy==6.3.1 gast==0.7.0 gekko==1.3.3 genshi==0.7.12
    geojson==3.3.0 giddy==2.3.8 gitpython==3.2.1 gluonts==0.17.0 google_auth_oauthlib==1.5.0
    google_cloud_aiplatform==2.7.0 google_cloud_bigquery==3.47.0 google_cloud_datastore==2.27.0
    google_cloud_firestore==2.34.1 google_cloud_pubsub==2.44.0 google_resumable_media==2.11.0
    googlemaps==4.2.0 gpflow==2.11.2 gpiozero==2.0.1.post3 gpxpy==1.6.2 gpy==1.15.0 gpytorch==1.15.2
    graphlib_backport==1.1.0 gseapy==1.3.1 gspread==6.2.1 gstools==1.7.0 gunicorn==27.0.1 h11==0.16.0
    h2==4.4.1 h5netcdf==1.8.2 hashids==1.3.1 haystack_ai==3.4.1 hdwallet==3.6.1 hickle==5.0.3 hist==2.12.1
    hmmlearn==0.3.3 holidays==0.109 httpcore==1.0.9 huey==3.5.4 huggingface_hub==2.4.0 hvac==2.4.0
    iapws==1.5.5 icalendar==7.3.0 icmplib==3.0.4 ijson==3.6.0 ImageHash==4.3.2 imgaug==0.4.0
    influxdb==5.3.2 instagrapi==3.2.2 ipaddress==1.0.23 ipwhois==1.3.0 ipyleaflet==0.20.0 iso8601==2.1.0
    jinja2_cli==1.0.1 jinjasql==0.1.8 jmespath==1.1.0 jsonlines==4.0.0 jsonpatch==1.47 jsonpath_ng==1.16.0
    jsonpickle==4.1.4 jupyter_core==5.9.1 justext==3.0.2 jwcrypto==1.6.1 kedro==1.7.0
    Keras_Applications==1.0.8 Keras_Preprocessing==1.1.2 keybert==0.9.0 keystoneauth1==5.18.1
    kmodes==0.12.2 knack==0.14.0 konlpy==0.6.0 kopf==1.45.2 langchain==1.5.0 language_tool_python==3.4.0
    ldap3==2.9.1 leafmap==0.63.1 limits==5.8.0 line_bot_sdk==3.27.0 litestar==2.25.0
    llama_index_core==0.14.25 lmfit==1.3.4 lockfile==0.12.2 logbook==1.10.1 loguru==0.7.3 loky==3.7.0
    lunardate==0.3.0 maggma==0.77.1 mailchimp3==3.0.21 mako==1.4.3 mammoth==1.13.0
    mapbox_vector_tile==2.2.0 mapclassify==2.10.0 mapie==1.6.0 markdownify==1.2.3 mashumaro==3.23
    matplotlib_venn==0.11.10 mccabe==0.7.0 mechanicalsoup==1.4.0 meltano==4.4.1 mercantile==1.2.1
    meshio==5.3.5 meteostat==2.1.5 minimalmodbus==2.1.1 mip==2.0.0 missingno==0.5.2 mnemonic==0.21
    model_bakery==1.24.2 modin==0.37.1 molecule==26.10.0 moment==0.12.1 momepy==0.11.0 monai==1.6.1
    morecantile==7.1.0 moto==5.2.5 motor==3.7.1 mouse==0.7.1 mpld3==0.5.12 mplfinance==0.12.10b0
    mplhep==1.3.3 mpremote==1.29.0 msgpack==1.2.4 mss==10.2.0 mt_940==5.1.1 multiprocess==0.70.19
    mutmut==3.8.1 mysql_connector_python==26.10.0 nameparser==2.6.0 nanoid==2.0.0 nats_py==2.16.0
    nbclient==0.11.0 nbformat==5.11.1 ncclient==0.7.1 netaddr==1.3.0 newspaper3k==0.2.8 nextcord==2.0.0a0
    nicegui==3.18.0 nikola==8.3.3 nipype==1.11.0 nornir==3.6.0 numpy_financial==1.0.0 numpy_stl==4.1.1
    nvitop==1.7.2 odmantic==1.1.0 olefile==0.47 oletools==0.60.2 omegaconf==2.4.0 openstacksdk==4.22.0
    opentelemetry_sdk==1.45.2 optimum==2.3.0 ormar==0.26.0 oslo_messaging==18.3.1 osmnx==2.1.1
    owslib==0.35.0 palettable==3.3.3 pandas_datareader==0.11.1 panel==1.9.4 param==2.4.2 parse==1.22.4
    parsel==1.12.1 parsl==2026.10.26 particle==1.1.0 passlib==1.7.4 path.py==12.5.0 pathlib2==2.3.7.post1
    pathvalidate==3.3.1 patool==4.0.7 Paver==1.3.4 pdbpp==0.12.1 pdfplumber==0.11.10 pdm==2.29.4
    pefile==2024.8.26 peppercorn==0.6 pex==2.105.2 phonemizer==3.4.0 phonenumberslite==9.0.42
    phonopy==4.10.0 piexif==1.1.3 pilkit==3.0 pinecone_client==6.0.0 pinject==0.14.1 pip_audit==2.10.1
    pipdeptree==4.2.14 pipenv==2026.10.3 platformdirs==4.14.7 plum_dispatch==2.10.1 plumbum==2.0.2
    pluralizer==2.0.0 ply==3.11 polib==1.2.0 portalocker==4.4.2 prawcore==4.0.0 progressbar2==4.6.0
    prompt_toolkit==3.0.53 pronouncing==0.3.0 ptyprocess==0.7.0 pudb==2026.1 punq==0.9.0 puremagic==1.30
    pvlib==0.16.1 py3_validate_email==1.0.5.post2 py7zr==1.1.4 pyannote_audio==4.0.7 pybreaker==1.4.1
    pychromecast==14.0.10 pycountry==26.2.16 pydeck==0.9.3 PyDispatcher==2.0.7 pydoctor==25.10.1
    pyedflib==0.1.42 pyee==13.0.1 pyexcel_io==0.6.8 pyfaidx==0.9.2.2 pyflakes==4.1.0 pyftdi==0.57.2
    pygad==3.9.2 pygeos==0.14 pygithub==2.10.0 pygls==2.1.1 pygsheets==2.0.6 pyhamcrest==2.1.0
    pyjwt==2.15.1 pykakasi==2.3.0 pykube_ng==23.6.0 pyleri==1.5.1 pymap3d==3.2.0 pymavlink==2.4.50
    pymilvus==3.0.2 pymodbus==3.16.1 pymoo==0.6.2 pymorphy2==0.9.1 pymorphy3==2.0.6 pymssql==2.4.6
    pynacl==1.6.2 pynwb==4.2.0 pyopenssl==26.4.0 pyorbital==1.13.0 pyotp==2.12.0 pypinyin==0.55.0
    pyportfolioopt==1.6.0 pyquery==2.1.0 pyrender==0.1.45 pyro_ppl==1.9.2 Pyrogram==2.0.106
    pyroute2==0.9.7 pyserial==3.5 pysimplegui==6.3.0.1 pysmb==1.2.15 pysnmp==7.1.30 pyspellchecker==0.9.1
    pystac_client==0.9.1 pytesseract==0.3.13 pytest_benchmark==5.3.1 pytest_httpx==0.36.2
    pytest_xdist==3.8.0 python_amazon_sp_api==2.1.35 python_barcode==0.16.1 python_box==8.0.0
    python_crontab==3.4.0 python_decouple==3.8 python_dotenv==1.2.4 python_gitlab==8.6.0
    python_keystoneclient==6.0.0 python_lsp_server==1.15.0 python_miio==0.5.12 python_slugify==9.2.0
    python_social_auth==0.3.6 python_statemachine==3.2.2 python_twitter==3.5 pytorch_forecasting==1.8.0
    pytorch_ignite==0.5.5 pyts==0.14.1 pyvis==0.3.2 pyvisa==1.16.2 pyvo==1.9.1 pyxlsb==1.0.10
    qcodes==0.58.0 qdrant_client==1.20.0 qtconsole==5.7.2 QtPy==2.4.3 quantities==0.16.4
    quantstats==0.0.86 rapidfuzz==3.14.6 rasterstats==0.21.0 reactivex==6.1.0 readability_lxml==0.9
    recommonmark==0.7.1 recurrent==0.3.0 reedsolo==1.7.0 requests_cache==1.3.3 resampy==0.4.3
    responses==0.26.3 ropgadget==7.7 ruamel_yaml==0.19.1 Rx==3.2.0 s3transfer==0.19.3 safety==3.8.1
    scenedetect==0.7.2 schematics==2.1.1 scienceplots==2.2.2 scikit_bio==0.7.4 scikit_fem==12.0.2
    scikit_multilearn==0.2.0 scikit_posthocs==0.17.1 scikit_rf==2.2.0 scons==4.11.1 secretstorage==3.5.0
    securesystemslib==1.6.0 segmentation_models_pytorch==0.6.0 selenium_wire==5.1.0 seleniumbase==4.56.4
    selfies==2.2.0 semantic_kernel==1.45.0 send2trash==2.2.0 sentinelhub==3.12.0 sentry_sdk==2.75.0
    serverless_wsgi==3.1.0 service_identity==26.1.0 sh==2.4.0 shiv==1.0.8 simple_parsing==0.1.9
    simplejson==4.3.0 simplekml==1.3.5 singledispatch==4.1.2 siphon==0.11.0 slack_bolt==1.30.0
    smart_open==9.0.2 snowballstemmer==3.1.1 snowflake_sqlalchemy==2.1.0 social_auth_core==7.0.0
    soco==0.32.0 sounddevice==0.5.6 spacy_legacy==3.0.12 specutils==2.4.0 speechrecognition==3.17.0
    splinter==0.21.0 sqlglot==30.30.0 sqlparse==0.6.1 srsly==2.5.6 stix2==3.0.2 stockstats==0.6.10
    stravalib==2.6.0 streamlink==8.6.3 strictyaml==1.7.3 stripe==16.1.0 striprtf==0.0.35 strsimpy==0.2.1
    structlog==26.1.0 sudachipy==0.7.0 supervisor==4.3.0 sure==1.4.9 svgpathtools==1.8.0 sweetviz==2.3.3
    tarsafe==0.0.6 taskflow==6.5.0 tavern==3.7.1 tenacity==9.2.1 tensorflow_datasets==4.9.10
    termcolor==3.3.0 textstat==0.7.13 thefuzz==0.22.1 thermo==0.6.1 thinc==9.1.1 thrift==0.25.0
    thriftpy2==0.7.1 tifffile==2026.3.3 tinycss2==1.5.1 tinydb==4.9.0 tldextract==5.4.0 tobler==0.13.0
    tomlkit==0.15.2 toposort==1.10 torch_geometric==2.8.1 torchdata==0.11.0 torchinfo==1.8.0
    torchio==1.2.1 torchmetrics==1.9.0 torchsummary==1.5.1 treq==26.7.0 trino==0.340.0 trio==0.35.0
    trl==1.16.0 troposphere==4.11.1 tskit==1.0.3 tslearn==0.10.0 tuf==7.0.1 twine==7.0.0 twython==3.9.1
    uiautomation==2.0.29 untangle==1.3.0 unyt==3.2.0 urllib3==2.8.0 urwid==5.1.0 us==4.0.0
    user_agents==2.2.0 utm==0.9.0 uuid6==2025.0.1 uvicorn==0.54.0 vaex_core==4.19.0 vcrpy==9.4.2
    vector==1.9.0 versioneer==0.29 vininfo==1.11.0 vobject==0.9.9 voluptuous==0.16.0 vosk==0.3.45
    vt_py==0.22.0 vulture==2.16 w3lib==2.5.0 wafw00f==2.4.2 wagtail_modeladmin==2.5.0 waitress==3.0.2
    wasabi==1.1.3 web3==8.0.0 webargs==8.7.1 webdavclient3==3.14.7 webdriver_manager==4.1.2
    websockets==17.4 wfdb==4.3.1 wordcloud==1.9.6 workalendar==17.0.0 wrapt==2.5.2 wtforms_alchemy==0.19.1
    xarray_spatial==0.5.3 xhtml2pdf==0.2.28 xlrd==2.0.2 xlutils==2.0.0 xlwt==1.3.0 yahooquery==2.4.1
    youtube_transcript_api==1.2.5 zeep==4.3.3 zope_schema==8.1
""".split()
"""Read by pair_code.py alone; none is under the AGPL."""
